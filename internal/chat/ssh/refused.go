package sshchat

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	refusedEvery = time.Second // until an address may have lines again
	refusedLines = 6           // about one address by then: the keys and certificates that one client offers
	maxRefused   = 256         // addresses that are told apart; all others share one line
)

// refusals logs refused keys, a few a second for each address: who was turned
// away finds out why, and who tries keys without end does not fill the disk.
type refusals struct {
	mu sync.Mutex
	by map[string]*refused
}

// refused is an address about which there were lines.
type refused struct {
	since time.Time
	lines int
	left  int // refusals without one
}

// add logs that a key was refused, or counts it, and reports whether it is the
// first one that an address is known by.
func (r *refusals) add(log *slog.Logger, now time.Time, addr net.Addr, key ssh.PublicKey, reason error) bool {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(log, host, func(e *refused) bool { return now.Sub(e.since) >= refusedEvery })
	e := r.by[host]
	if e == nil && len(r.by) >= maxRefused {
		host = "other addresses"
		e = r.by[host]
	}
	before := 0
	if e == nil || now.Sub(e.since) >= refusedEvery {
		if e != nil {
			before = e.left
		}
		e = &refused{since: now}
		r.put(host, e)
	}
	if e.lines == refusedLines {
		e.left++
		return false
	}
	e.lines++
	args := []any{"from", addr.String(), "key", ssh.FingerprintSHA256(key), "reason", reason.Error()}
	if before > 0 {
		args = append(args, "left_out", before)
	}
	log.Info("a key was refused", args...)
	return e.lines == 1
}

func (r *refusals) put(host string, e *refused) {
	if r.by == nil {
		r.by = map[string]*refused{}
	}
	r.by[host] = e
}

// end logs what was counted and not told yet.
func (r *refusals) end(log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(log, "", func(*refused) bool { return true })
}

// forget drops addresses, but keep, and logs what was counted of them.
func (r *refusals) forget(log *slog.Logger, keep string, old func(*refused) bool) {
	for host, e := range r.by {
		if host == keep || !old(e) {
			continue
		}
		if e.left > 0 {
			log.Info("more keys were refused", "from", host, "left_out", e.left)
		}
		delete(r.by, host)
	}
}
