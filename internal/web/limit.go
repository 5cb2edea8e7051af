package web

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// limit returns a listener that cuts off connections beyond so many, of all
// and of one address.
// An address that is spared may have all.
func limit(ln net.Listener, all, each int, stall time.Duration, spare func(netip.Addr) bool) *limited {
	return &limited{Listener: ln, all: all, each: each, spare: spare, stall: stall, open: make(map[netip.Addr]int)}
}

type limited struct {
	net.Listener
	all, each int
	spare     func(netip.Addr) bool
	stall     time.Duration

	mu   sync.Mutex
	n    int
	open map[netip.Addr]int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at := addrOf(c)
		if l.take(at) {
			return &held{Conn: c, free: sync.OnceFunc(func() { l.give(at) }), stall: l.stall}, nil
		}
		_ = c.Close()
	}
}

// Network is what an address is counted by: itself, or of IPv6 its /64, of which
// who has one address has them all.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func (l *limited) take(from netip.Addr) bool {
	at := Network(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= l.all || l.open[at] >= l.each && !l.spare(from) {
		return false
	}
	l.n++
	l.open[at]++
	return true
}

func (l *limited) give(from netip.Addr) {
	at := Network(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.open[at]--; l.open[at] == 0 {
		delete(l.open, at)
	}
}

func addrOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// held is a connection that counts until it is closed.
type held struct {
	net.Conn
	free  func()
	stall time.Duration
}

// A client may take stall for each piece of what is written to it; one that
// reads nothing must not hold its connection for ever.
const (
	piece = 64 << 10
	stall = 30 * time.Second
)

func (h *held) Write(b []byte) (n int, err error) {
	for {
		_ = h.SetWriteDeadline(time.Now().Add(h.stall))
		k, err := h.Conn.Write(b[n:min(n+piece, len(b))])
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

func (h *held) Close() error {
	h.free()
	return h.Conn.Close()
}
