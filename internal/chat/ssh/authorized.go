package sshchat

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
)

// Key is what one line of authorized_keys admits.
type Key struct {
	Public  ssh.PublicKey
	Name    string // of the person
	Expires time.Time
	From    []string // patterns, as in from=; empty = from anywhere
	NoPTY   bool
}

// ParseLine reads one line of authorized_keys. A line that admits nobody and
// means to (blank, comment) gives no key and no error; a line that can't be
// honoured whole is an Invalid error, so that a restriction which Bellhop does
// not know never falls away.
func ParseLine(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return nil, nil
	}
	if strings.ContainsAny(text, "\n\r") {
		return nil, bellhop.Errorf(bellhop.Invalid, "it holds a line break")
	}
	public, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "it is not a public key that OpenSSH writes; use the line of a .pub file whole")
	}
	if _, ok := public.(*ssh.Certificate); ok {
		return nil, bellhop.Errorf(bellhop.Invalid, "it is a certificate; certificates are admitted by their authority (trusted_user_ca)")
	}
	k := &Key{Public: public}
	for _, o := range options {
		if err := k.option(o); err != nil {
			return nil, err
		}
	}
	if k.Name == "" {
		before, _, _ := strings.Cut(strings.TrimSpace(comment), "@")
		k.Name = strings.ToLower(before)
	}
	if err := bellhop.CheckName("person", k.Name); err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, `it does not say whose key it is (%w); write principal="alice" before the key`, err)
	}
	return k, nil
}

// option takes one option. Those that only allow or forbid what Bellhop never
// does are accepted.
func (k *Key) option(text string) error {
	name, value, hasValue := strings.Cut(text, "=")
	if hasValue {
		if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
			return bellhop.Errorf(bellhop.Invalid, `option %.40q needs its value in double quotes`, name)
		}
		value = strings.ReplaceAll(value[1:len(value)-1], `\"`, `"`)
	}
	switch strings.ToLower(name) {
	case "principal":
		if !hasValue || bellhop.CheckName("person", value) != nil {
			return bellhop.Errorf(bellhop.Invalid, `principal=%.60q is not a name; use a-z, 0-9, _ and -, beginning with a letter: principal="alice"`, value)
		}
		k.Name = value
	case "expiry-time":
		at, err := expiry(value)
		if err != nil {
			return err
		}
		k.Expires = at
	case "from":
		return k.from(value)
	case "no-pty", "restrict":
		k.NoPTY = true
	case "pty":
		k.NoPTY = false
	case "no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding", "no-user-rc",
		"port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc",
		"permitopen", "permitlisten", "tunnel", "no-touch-required":
	default:
		return bellhop.Errorf(bellhop.Invalid, "option %.40q is not known here; take it out (known: principal, expiry-time, from, restrict, no-pty and the other no- options)", name)
	}
	return nil
}

// expiry reads YYYYMMDD[HHMM[SS]] in local time, or in UTC with a final Z.
func expiry(value string) (time.Time, error) {
	text, zone := value, time.Local
	if s, ok := strings.CutSuffix(value, "Z"); ok {
		text, zone = s, time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(text) != len(layout) {
			continue
		}
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, bellhop.Errorf(bellhop.Invalid, "expiry-time=%.40q is not a time; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in UTC with a final Z", value)
}

func (k *Key) from(value string) error {
	for pattern := range strings.SplitSeq(value, ",") {
		p := strings.TrimPrefix(strings.TrimSpace(pattern), "!")
		switch {
		case p == "":
			return bellhop.Errorf(bellhop.Invalid, "from=%.60q has an empty pattern", value)
		case strings.Contains(p, "/"):
			if _, err := netip.ParsePrefix(p); err != nil {
				return bellhop.Errorf(bellhop.Invalid, "from=%.60q: %.40q is not a network such as 192.0.2.0/24", value, p)
			}
		case strings.Trim(p, "0123456789abcdefABCDEF.:*?") != "":
			return bellhop.Errorf(bellhop.Invalid, "from=%.60q: %.40q is a host name; only addresses are compared, write 192.0.2.7, 192.0.2.0/24 or 192.0.2.*", value, p)
		}
		k.From = append(k.From, strings.TrimSpace(pattern))
	}
	return nil
}

// admits returns why the key does not admit anybody from addr at the time, or
// nil.
func (k *Key) admits(addr net.Addr, now time.Time) error {
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return fmt.Errorf("the key of %s expired at %s", k.Name, k.Expires.Format(time.RFC3339))
	}
	if len(k.From) == 0 {
		return nil
	}
	ip, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return fmt.Errorf("the key of %s is limited by from=, and %s is no address", k.Name, addr)
	}
	host, found := ip.Addr().Unmap().WithZone(""), false
	for _, pattern := range k.From {
		p, not := strings.CutPrefix(pattern, "!")
		if !matches(p, host) {
			continue
		}
		if not {
			found = false
			break
		}
		found = true
	}
	if !found {
		return fmt.Errorf("the key of %s may not be used from %s", k.Name, host)
	}
	return nil
}

func matches(pattern string, host netip.Addr) bool {
	if prefix, err := netip.ParsePrefix(pattern); err == nil {
		return prefix.Contains(host)
	}
	if one, err := netip.ParseAddr(pattern); err == nil { // however it is written
		return one.Unmap() == host
	}
	return glob(strings.ToLower(pattern), host.String())
}

// glob matches * and ? over a whole text.
func glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// parseKeys reads a whole authorized_keys file. A line that can't be honoured
// is logged with what to do, and admits nobody.
func parseKeys(data []byte, path string, log *slog.Logger) map[string]*Key {
	keys := map[string]*Key{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		k, err := ParseLine(string(line))
		if err != nil {
			log.Warn("a line of authorized_keys was ignored", "file", path, "line", n, "reason", err.Error())
			continue
		}
		if k == nil {
			continue
		}
		id := string(k.Public.Marshal())
		if first, ok := keys[id]; ok {
			log.Warn("a line of authorized_keys was ignored", "file", path, "line", n,
				"reason", fmt.Sprintf("the same key stands above, for %s; take one of the two lines out", first.Name))
			continue
		}
		keys[id] = k
	}
	return keys
}
