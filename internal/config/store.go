package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unique"
)

// The kinds of store.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Store says where the memory is. Stores can be compared.
type Store struct {
	Kind string // SQLite or Postgres
	Path string // SQLite: the file
	URL  URL    // Postgres: the address, which may hold a password
}

// String returns the store as it may be shown: without a password.
func (s Store) String() string {
	if s.Kind == Postgres {
		return s.URL.String()
	}
	return s.Kind + ":" + s.Path
}

// URL is an address that shows no password, however it is printed, logged or
// encoded. Reveal tells it all.
type URL struct {
	whole unique.Handle[string] // and not a string, which fmt would show where it can't call methods
}

// NewURL keeps an address.
func NewURL(whole string) URL { return URL{unique.Make(whole)} }

// Reveal returns the whole address, for the driver alone.
func (u URL) Reveal() string {
	if u == (URL{}) {
		return ""
	}
	return u.whole.Value()
}

// String returns the address without its password and its options, which may
// hold one as well.
func (u URL) String() string {
	if u == (URL{}) {
		return ""
	}
	p, err := url.Parse(u.Reveal())
	if err != nil {
		return "(an address that can't be read)"
	}
	shown := url.URL{Scheme: p.Scheme, Host: p.Host, Path: p.Path}
	if name := p.User.Username(); name != "" {
		shown.User = url.User(name)
	}
	return shown.String()
}

// Format shows String for every verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue logs String.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON writes String.
func (u URL) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// storeForms is how a store may be written.
const storeForms = "sqlite:FILE, such as sqlite:bellhop.db, or postgres://USER:PASSWORD@HOST:PORT/DATABASE"

func (b *builder) store(t text) Store {
	written := t.or("sqlite:bellhop.db")
	kind, rest, _ := strings.Cut(written, ":")
	switch kind {
	case "postgres", "postgresql":
		b.postgres(t, kind, rest)
		return Store{Kind: Postgres, URL: NewURL(written)}
	case SQLite:
		b.sqlite(t, rest)
		return Store{Kind: SQLite, Path: b.path(rest)}
	}
	hint := "write " + storeForms
	if near := nearest(kind, []string{"sqlite", "postgres"}); near != "" && kind != written {
		hint = "did you mean " + near + ":? Write " + storeForms
	}
	b.fault(t.at, "store: %s is not a store that is known; %s", shownStore(written), hint)
	return Store{}
}

func (b *builder) sqlite(t text, path string) {
	shown := shorten("sqlite:" + path)
	switch {
	case strings.HasPrefix(path, "//"):
		b.fault(t.at, "store: sqlite takes a file, not an address; write sqlite:FILE, such as sqlite:bellhop.db, or sqlite:/var/lib/bellhop/bellhop.db")
	case path == "" || path == ":memory:":
		b.fault(t.at, "store: %s names no file; write sqlite:FILE, such as sqlite:bellhop.db", shown)
	case strings.ContainsAny(path, "?\x00"):
		b.fault(t.at, "store: %s: a file name may not hold ? here; options are not read", shown)
	}
}

// postgres checks an address. Nothing of it is told but what can't be a
// password: not even what net/url says of it, which quotes.
func (b *builder) postgres(t text, kind, rest string) {
	const form = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
	fault := func(format string, args ...any) { b.fault(t.at, "store: "+format, args...) }
	if !strings.HasPrefix(rest, "//") {
		fault("%s: must be followed by //; %s", kind, form)
		return
	}
	u, err := url.Parse(kind + ":" + rest)
	authority, behind, _ := strings.Cut(rest[2:], "/")
	if err != nil || strings.Contains(behind, "@") || strings.ContainsAny(authority, "?#") { // a password with such a sign in it
		fault("the address of the Postgres server can't be read; %s, and signs such as @ : / ? # %% in a password as %%40 %%3A %%2F %%3F %%23 %%25", form)
		return
	}
	database := strings.TrimPrefix(u.Path, "/")
	switch port, err := strconv.Atoi(u.Port()); {
	case u.Port() != "" && (err != nil || port < 1 || port > 65535):
		fault("the port is not a number from 1 to 65535; it is 5432 by default")
	case database == "":
		fault("the address names no database; %s", form)
	case strings.Contains(database, "/"):
		fault("the address has a / in the name of the database; %s, and a / in a password as %%2F", form)
	case u.Fragment != "":
		fault("the address has a # in it, behind which nothing is read; write it as %%23")
	}
	if strings.ContainsRune(u.Path+u.RawQuery, 0) {
		fault("the address holds a NUL character; remove it")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		fault("the options behind ? can't be read; write ?sslmode=require&connect_timeout=5, say")
		return
	}
	if mode := query.Get("sslmode"); query.Has("sslmode") && !slices.Contains(sslModes(), mode) {
		fault("%s", notOneOf("sslmode", mode, sslModes()))
	}
}

func sslModes() []string {
	return []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
}

// shownStore tells back what stands in place of a store, unless it could hold a
// password.
func shownStore(written string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./ -]{1,40}$`).MatchString(written) {
		return shorten(written)
	}
	if kind := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+]{0,20}:`).FindString(written); kind != "" {
		return kind + "..."
	}
	return "what stands here"
}
