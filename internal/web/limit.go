package web

import (
	"net"
	"net/netip"
	"sync"
)

// limit returns a listener that cuts off connections beyond so many, of all
// and of one address.
// An address that is spared may have all.
func limit(ln net.Listener, all, each int, spare func(netip.Addr) bool) net.Listener {
	return &limited{Listener: ln, all: all, each: each, spare: spare, open: make(map[netip.Addr]int)}
}

type limited struct {
	net.Listener
	all, each int
	spare     func(netip.Addr) bool

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
			return &held{Conn: c, free: sync.OnceFunc(func() { l.give(at) })}, nil
		}
		_ = c.Close()
	}
}

func (l *limited) take(at netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= l.all || l.open[at] >= l.each && !l.spare(at) {
		return false
	}
	l.n++
	l.open[at]++
	return true
}

func (l *limited) give(at netip.Addr) {
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
	free func()
}

func (h *held) Close() error {
	h.free()
	return h.Conn.Close()
}
