package api

import (
	"net/http"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
)

// maxWatchers is how many streams of everything there are at a time: each
// looks into the store by itself.
const maxWatchers = 100

// watchers counts them.
type watchers struct{ n atomic.Int64 }

func (w *watchers) enter() error {
	if w.n.Add(1) > maxWatchers {
		w.n.Add(-1)
		return bellhop.Errorf(bellhop.Unavailable, "%d clients watch already, as many as may; come back later, or ask for /v1/status from time to time", maxWatchers)
	}
	return nil
}

func (w *watchers) leave() { w.n.Add(-1) }

// watch streams runs as they change: those that are active first, and behind
// Last-Event-ID, which is the highest run that the client was told of.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, c caller) error {
	after := bellhop.RunID(0)
	if s := r.Header.Get("Last-Event-ID"); s != "" {
		var err error
		if after, err = bellhop.ParseRunID(s); err != nil {
			return bellhop.Errorf(bellhop.Invalid, "Last-Event-ID is %.40q; it is the id of the last event that came", s)
		}
	}
	if err := h.watchers.enter(); err != nil {
		return err
	}
	defer h.watchers.leave()
	ev := &events{w: w, ctx: r.Context()}
	ev.begin()
	highest := after
	return ev.end(h.front.Watch(r.Context(), c.person, after, func(run *bellhop.Run) error {
		if run == nil {
			if _, err := h.person(r); err != nil { // its token may have been taken away
				return err
			}
			return ev.alive()
		}
		highest = max(highest, run.ID)
		return ev.send(highest.String(), "run", toRun(*run))
	}))
}
