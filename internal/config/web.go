package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

type webRaw struct {
	at
	Listen  text          `yaml:"listen" def:"127.0.0.1:8080" doc:"host:port to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every network."`
	TLS     tlsRaw        `yaml:"tls" doc:"The certificate to show. Default: none; put a proxy before Bellhop that has one."`
	Proxies several[text] `yaml:"trusted_proxies" item:"proxy" doc:"Addresses of proxies, such as 10.0.0.1 or 10.0.0.0/8, whose X-Forwarded-For is believed."`
	URL     text          `yaml:"url" doc:"The address at which Bellhop is reached from outside, such as https://bellhop.example.org: what runs are given to post to (callback)."`
	Rate    text          `yaml:"rate" def:"10000/s" doc:"How many requests one principal may make: such as 100/s, 600/m, or unlimited. So many may come at once."`
}

type tlsRaw struct {
	at
	Cert text `yaml:"cert" doc:"File of the certificate and those that vouch for it, PEM. It is read again when it changes."`
	Key  text `yaml:"key" doc:"File of its key, PEM."`
}

// Web is the HTTP server.
type Web struct {
	Listen    string // host:port
	Cert, Key string // "" = no TLS
	Proxies   []netip.Prefix
	URL       string           // at which it is reached, without a slash at its end; "" = not known
	Rate      Rate             // of requests of one principal
	Pos       bellhop.Position `json:"-"`
}

// web returns nil when there is to be no server.
func (b *builder) web(raw webRaw) *Web {
	if !raw.at.isSet() {
		return nil
	}
	w := &Web{Listen: raw.Listen.or("127.0.0.1:8080"), Cert: b.path(raw.TLS.Cert.val), Key: b.path(raw.TLS.Key.val), Pos: raw.at.pos()}
	if why := checkListen(w.Listen); why != "" {
		b.fault(raw.Listen.at, "listen: %s %s; write host:port, such as 127.0.0.1:8080 (this machine only) or 0.0.0.0:8080 (every network)", shorten(w.Listen), why)
	}
	if raw.TLS.at.isSet() && (w.Cert == "" || w.Key == "") {
		b.fault(raw.TLS.at, "tls: it takes both cert and key, each the name of a file")
	}
	w.URL = b.publicURL(raw.URL)
	w.Rate = b.rate("rate", raw.Rate, defaultRate)
	for _, p := range raw.Proxies.items {
		prefix, err := netip.ParsePrefix(p.val)
		if addr, other := netip.ParseAddr(p.val); other == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if p.good() && err != nil {
			b.fault(p.at, "trusted_proxies: %s is no address; write one such as 10.0.0.1, or a network such as 10.0.0.0/8", shorten(p.val))
			continue
		}
		w.Proxies = append(w.Proxies, prefix.Masked())
	}
	return w
}

// webPaths says what is wrong with paths that chats have on the HTTP server.
func (b *builder) webPaths(raw dict[chatRaw], w *Web) {
	taken := map[string]string{}
	for _, e := range raw.items {
		events := e.val.Events
		if !events.good() || !strings.HasPrefix(events.val, "/") {
			continue // which was said
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(events.val, "/"), "/")
		switch {
		case w == nil:
			b.fault(events.at, "events: there is no HTTP server for Slack to reach; add `web: {listen: \"127.0.0.1:8080\"}` to the file, behind a public address, or remove events to use Socket Mode")
		case strings.HasSuffix(events.val, "/"):
			b.fault(events.at, "events: %s is no path; write one such as /slack/events", shorten(events.val))
		case bellhop.Reserved(first):
			b.fault(events.at, "events: %s is a path that Bellhop has a use for; write another, such as /slack/events", shorten(events.val))
		case taken[events.val] != "":
			b.fault(events.at, "events: chat %q has the path %s already; give this one another", taken[events.val], events.val)
		}
		taken[events.val] = e.name
	}
}

// posted says, once, that what webhooks want can't come.
func (b *builder) posted(raw *fileRaw, w *Web) {
	for _, s := range raw.Services.items {
		if hooks := s.val.Webhooks.items; w == nil && len(hooks) > 0 {
			b.fault(hooks[0].at, "webhooks: there is no HTTP server to post to; add `web: {listen: \"127.0.0.1:8080\"}` to the file, behind a public address")
			return
		}
	}
}

func (b *builder) publicURL(t text) string {
	if !t.good() {
		return ""
	}
	u, err := url.Parse(t.val)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		b.fault(t.at, "url: %s is no address of a server; write one such as https://bellhop.example.org", shorten(t.val))
		return ""
	}
	return strings.TrimRight(u.String(), "/")
}

// maxCallback bounds how long an address is good to which whoever has it may
// post.
const maxCallback = 7 * 24 * time.Hour

// callbacks says which jobs want an address that can't be had.
func (b *builder) callbacks(raw *fileRaw, w *Web) {
	for _, s := range raw.Services.items {
		for _, j := range s.val.Jobs.items {
			switch c := j.val.Callback; {
			case !c.good() || c.val == 0:
			case c.val > maxCallback:
				b.fault(c.at, "callback: an address is good for 7d at most; write a shorter time, such as 12h")
			case w == nil:
				b.fault(c.at, "callback: there is no HTTP server to post to; add `web: {listen: \"127.0.0.1:8080\", url: https://bellhop.example.org}` to the file")
			case !raw.Web.URL.isSet():
				b.fault(c.at, "callback: the address at which Bellhop is reached is not known; add it to web, such as url: https://bellhop.example.org")
			}
		}
	}
}
