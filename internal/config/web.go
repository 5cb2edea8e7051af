package config

import (
	"net/netip"
	"strings"

	"github.com/bellhop-io/bellhop"
)

type webRaw struct {
	at
	Listen  text          `yaml:"listen" def:"127.0.0.1:8080" doc:"host:port to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every network."`
	TLS     tlsRaw        `yaml:"tls" doc:"The certificate to show. Default: none; put a proxy before Bellhop that has one."`
	Proxies several[text] `yaml:"trusted_proxies" item:"proxy" doc:"Addresses of proxies, such as 10.0.0.1 or 10.0.0.0/8, whose X-Forwarded-For is believed."`
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
