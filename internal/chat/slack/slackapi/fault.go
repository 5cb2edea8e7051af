package slackapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/bellhop-io/bellhop"
)

// Fault is an error that Slack answered with, or that kept it from answering.
type Fault struct {
	Method     string
	Code       string        // Slack's own: channel_not_found; "" = it did not answer
	Needed     string        // missing_scope: the scopes of which one is missing
	RetryAfter time.Duration // ratelimited
	Err        error         // the cause
}

// Error names the method and what Slack said.
func (f *Fault) Error() string {
	switch {
	case f.Needed != "":
		return fmt.Sprintf("Slack refused %s: %s (it needs %s)", f.Method, f.Code, f.Needed)
	case f.Code != "":
		return fmt.Sprintf("Slack refused %s: %s", f.Method, f.Code)
	}
	return fmt.Sprintf("Slack did not answer %s: %v", f.Method, f.Err)
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// CodeOf returns what Slack answered, "" when it did not answer.
func CodeOf(err error) string {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Code
	}
	return ""
}

// rateLimited is the code of a call that came too early.
const rateLimited = "ratelimited"

func faultOf(method string, err error) *Fault {
	f := &Fault{Method: method, Err: err}
	if own, ok := errors.AsType[*Fault](err); ok {
		return own
	}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		f.Code, f.RetryAfter = rateLimited, max(limited.RetryAfter, time.Second)
		return f
	}
	if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		f.Code, f.Needed = said.Err, said.Needed
		if f.Code == rateLimited { // some methods say so without a header
			f.RetryAfter = time.Second
		}
	}
	return f
}

// gate is what Slack limits: a method, and for posts the channel.
type gate struct{ method, channel string }

// gates are shut while Slack does not want calls.
type gates struct {
	clock bellhop.Clock
	mu    sync.Mutex
	until map[gate]time.Time
}

func (g *gates) shut(at gate, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	for k, t := range g.until {
		if t.Before(now) {
			delete(g.until, k)
		}
	}
	g.until[at] = now.Add(d)
}

// wait returns when a call may be made. It does not wait for what comes after
// the end of ctx.
func (g *gates) wait(ctx context.Context, at gate) error {
	for {
		g.mu.Lock()
		d := g.until[at].Sub(g.clock.Now())
		g.mu.Unlock()
		if d <= 0 {
			return ctx.Err()
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
			return &Fault{Method: at.method, Code: rateLimited, RetryAfter: d}
		}
		timer, stop := g.clock.NewTimer(d)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
	}
}
