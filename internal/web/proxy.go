package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client finds out who is at the other end of what proxies have passed on.
// What somebody else writes into the header is not believed.
func (s *Server) client(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := from.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !s.trusted(at) {
			break
		}
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		at = a.Unmap().WithZone("")
	}
	return at
}

func (s *Server) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(s.opt.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
