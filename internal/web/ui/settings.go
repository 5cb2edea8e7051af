package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Holdings is what admins look after. Each call is refused to everybody else.
type Holdings interface {
	SecretList(ctx context.Context, p bellhop.Person) ([]Secret, error)
	Settings(ctx context.Context, p bellhop.Person) (Settings, error)
	// Versions lists those of a service that the store has, newest first.
	Versions(ctx context.Context, p bellhop.Person, service string) ([]Version, error)
	// VersionText returns the YAML of one, with what looks like a secret hidden.
	VersionText(ctx context.Context, p bellhop.Person, service string, version int64) (string, error)
	Sessions(ctx context.Context, p bellhop.Person) ([]bellhop.Session, error)
	Tokens(ctx context.Context, p bellhop.Person) ([]bellhop.Token, error)
	RemoveToken(ctx context.Context, p bellhop.Person, name string) error
}

// Settings is the active configuration, and what is known of the server.
type Settings struct {
	Digest  string // as the audit trail has it
	Since   time.Time
	By      string   // who had it activated; "" = the server's start, or another server
	Restart []string // keys that changed and are read at start only
	Files   []File
	Kept    []Version // the newest of each service that the store has
	Facts   []Fact
}

// File is one of a configuration, as it may be shown.
type File struct{ Name, Text string }

// Version is one version of a service that the store has.
type Version struct {
	Service string
	Number  int64
	By      string
	At      time.Time
	Bytes   int
	Removed bool   // it took the service out
	LeftOut string // why the service can't be asked for here
}

// Fact is one thing about the server.
type Fact struct{ Name, Value string }

func (h *Handler) settingsRoutes() {
	h.get("/settings", h.settings)
	h.get("/settings/yaml/{service}", h.versions)
	h.post("/settings/sessions/{id}/end", h.endFromSettings)
	h.post("/settings/tokens/{name}/remove", h.removeToken)
}

// settingsData is the page of settings.
type settingsData struct {
	Settings
	Sessions []bellhop.Session
	Own      string // the session of who looks
	Tokens   []bellhop.Token
}

func (h *Handler) settings(v *view) error {
	d := settingsData{Own: v.s.ID}
	var err error
	if d.Settings, err = h.house.Settings(v.ctx(), v.person); err != nil {
		return err
	}
	if d.Sessions, err = h.house.Sessions(v.ctx(), v.person); err != nil {
		return err
	}
	if d.Tokens, err = h.house.Tokens(v.ctx(), v.person); err != nil {
		return err
	}
	v.page.Still = true
	return v.show("Settings", settingsPage(v.page, d))
}

// endFromSettings ends somebody's session, or the one that this is: the next page asks
// to log in.
func (h *Handler) endFromSettings(v *view) error {
	if err := h.house.EndSession(v.ctx(), v.person, v.r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/settings#sessions", http.StatusSeeOther)
	return nil
}

func (h *Handler) removeToken(v *view) error {
	if err := h.house.RemoveToken(v.ctx(), v.person, v.r.PathValue("name")); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/settings#tokens", http.StatusSeeOther)
	return nil
}

// versionsData is a service that the store has, with one of its versions or how
// two of them differ.
type versionsData struct {
	Service  string
	All      []Version // newest first
	At       int64     // the version that is shown
	From     int64     // that it is compared with; 0 = none
	Text     string
	Diff     []diffLine
	TooLarge bool // to be compared
}

func (h *Handler) versions(v *view) (err error) {
	d := versionsData{Service: strings.ToLower(v.r.PathValue("service"))}
	if d.All, err = h.house.Versions(v.ctx(), v.person, d.Service); err != nil {
		return err
	}
	for name, to := range map[string]*int64{"version": &d.At, "from": &d.From} {
		if s := v.query(name); s != "" {
			if *to, err = strconv.ParseInt(s, 10, 64); err != nil || *to < 0 {
				return bellhop.Errorf(bellhop.Invalid, "%.40q is no version; versions are numbers from 1", s)
			}
		}
	}
	if d.At == 0 && len(d.All) > 0 {
		d.At = d.All[0].Number
		if !v.r.URL.Query().Has("from") && len(d.All) > 1 {
			d.From = d.All[1].Number
		}
	}
	if d.Text, err = h.versionText(v, d, d.At); err != nil {
		return err
	}
	if d.From != 0 {
		before, err := h.versionText(v, d, d.From)
		if err != nil {
			return err
		}
		var ok bool
		d.Diff, ok = diff(before, d.Text)
		d.TooLarge = !ok
	}
	v.page.Still = true
	return v.show("Service "+d.Service, versionsPage(v.page, d))
}

// versionText is the text of a version; one that removed the service has none.
func (h *Handler) versionText(v *view, d versionsData, number int64) (string, error) {
	i := slices.IndexFunc(d.All, func(x Version) bool { return x.Number == number })
	if i >= 0 && d.All[i].Removed {
		return "", nil
	}
	return h.house.VersionText(v.ctx(), v.person, d.Service, number)
}

// yamlPath is the page of a version, compared with another one (0 = none).
func yamlPath(service string, at, from int64) string {
	return fmt.Sprintf("/settings/yaml/%s?version=%d&from=%d", url.PathEscape(service), at, from)
}

// before is the version before one, 0 = there is none.
func (d versionsData) before(number int64) int64 {
	for _, v := range d.All {
		if v.Number < number {
			return v.Number
		}
	}
	return 0
}
