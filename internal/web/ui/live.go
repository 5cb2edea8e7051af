package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// pace is how often a page is told of changes at most.
const pace = 500 * time.Millisecond

// most is how many runs one event names; of more it says nothing but that.
const most = 50

// news gathers runs that changed until they are told.
type news struct {
	mu   sync.Mutex
	runs map[bellhop.RunID]bool
	came chan struct{} // has one when there are any
}

func (n *news) add(runs []*bellhop.Run) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range runs {
		n.runs[r.ID] = true
	}
	select {
	case n.came <- struct{}{}:
	default:
	}
}

func (n *news) take() (ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.runs {
		if len(ids) == most {
			ids = nil
			break
		}
		ids = append(ids, id.String())
	}
	clear(n.runs)
	return ids
}

// live tells a page which runs changed, by server-sent events, so that it asks
// anew for what it shows.
func (h *Handler) live(v *view) error {
	ctx, cancel := context.WithCancel(v.ctx())
	defer cancel()
	c := http.NewResponseController(v.w)
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(v.w, "retry: 2000\nevent: hello\ndata: %q\n\n", h.house.About().Version)
	if err := c.Flush(); err != nil {
		return err
	}
	n := &news{runs: make(map[bellhop.RunID]bool), came: make(chan struct{}, 1)}
	alive := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer cancel()
		_ = h.house.Watch(ctx, v.person, 0, func(runs []*bellhop.Run) error {
			if len(runs) > 0 {
				n.add(runs)
				return nil
			}
			select {
			case alive <- struct{}{}:
			default:
			}
			return nil
		})
	})
	looked := h.opt.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.came:
			ids, err := json.Marshal(n.take())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(v.w, "event: change\ndata: %s\n\n", ids); err != nil {
				return nil //nolint:nilerr // the page was closed
			}
		case <-alive:
			if _, err := fmt.Fprint(v.w, ": alive\n\n"); err != nil {
				return nil //nolint:nilerr // the page was closed
			}
		}
		if c.Flush() != nil {
			return nil
		}
		if now := h.opt.Clock.Now(); now.Sub(looked) >= time.Second || now.Before(looked) {
			if looked = now; h.gone(v) {
				return nil
			}
		}
		wait, stop := h.opt.Clock.NewTimer(pace)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-wait:
		}
	}
}

// gone reports whether the session has ended.
func (h *Handler) gone(v *view) bool {
	_, _, err := h.house.SessionPerson(v.ctx(), h.proof(v.r))
	return bellhop.CodeOf(err) == bellhop.NotAllowed
}
