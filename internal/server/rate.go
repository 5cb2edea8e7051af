package server

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web"
)

// maxRated is how many principals are told apart. Each has proven who it is, so
// more than a few take many tokens that were made.
const maxRated = 10_000

// rates bound how many requests each principal makes over the network.
type rates struct {
	of    config.Rate
	clock bellhop.Clock

	mu sync.Mutex
	by map[string]*rate.Limiter
}

func newRates(of config.Rate, clock bellhop.Clock) *rates {
	return &rates{of: of, clock: clock, by: make(map[string]*rate.Limiter)}
}

// take returns nil, or a problem that says when to come back.
func (r *rates) take(principal string) error {
	if r.of.N == 0 {
		return nil
	}
	now := r.clock.Now()
	l := r.limiter(principal, now)
	if l.AllowN(now, 1) {
		return nil
	}
	wait := (1 - l.TokensAt(now)) * r.of.Per.Seconds() / float64(r.of.N)
	return &web.Problem{
		Status: http.StatusTooManyRequests, Code: bellhop.Unavailable, After: max(1, int(math.Ceil(wait))),
		Detail: fmt.Sprintf("not accepted: %s makes more requests than the %d in %s that are taken; send it again, with the same key if it had one, after what Retry-After says", principal, r.of.N, per(r.of.Per)),
	}
}

func per(d time.Duration) string {
	return map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour"}[d]
}

func (r *rates) limiter(principal string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.by[principal]; l != nil {
		return l
	}
	if len(r.by) >= maxRated {
		r.forget(now)
	}
	l := rate.NewLimiter(rate.Limit(float64(r.of.N)/r.of.Per.Seconds()), r.of.N)
	r.by[principal] = l
	return l
}

// forget lets go of those who have made no requests for a while, and if that is
// nobody, of all.
func (r *rates) forget(now time.Time) {
	for name, l := range r.by {
		if l.TokensAt(now) >= float64(r.of.N) {
			delete(r.by, name)
		}
	}
	if len(r.by) >= maxRated {
		clear(r.by)
	}
}
