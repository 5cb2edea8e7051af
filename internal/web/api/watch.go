package api

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// maxWatchers is how many streams of everything there are at a time, and
// maxWatching of one principal: each looks into the store by itself.
const (
	maxWatchers = 100
	maxWatching = 20
)

// watchers counts them.
type watchers struct {
	mu sync.Mutex
	n  int
	by map[string]int // by principal
}

// enter lets a person watch until leave is called.
func (w *watchers) enter(p bellhop.Person) (leave func(), err error) {
	name := cmp.Or(p.As, p.Principal()) // tokens that stand for somebody count together
	w.mu.Lock()
	defer w.mu.Unlock()
	const instead = "come back later, or ask for /v1/status from time to time"
	switch {
	case w.n >= maxWatchers:
		return nil, bellhop.Errorf(bellhop.Unavailable, "%d clients watch already, as many as may; %s", maxWatchers, instead)
	case w.by[name] >= maxWatching:
		return nil, bellhop.Errorf(bellhop.Unavailable, "%d clients of %s watch already, as many as may of one; %s", maxWatching, name, instead)
	}
	if w.by == nil {
		w.by = make(map[string]int)
	}
	w.n++
	w.by[name]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.n--
		if w.by[name]--; w.by[name] == 0 {
			delete(w.by, name)
		}
	}, nil
}

// lookAgain is how often it is looked at most whether a stream's token is good.
const lookAgain = time.Second

// standing returns what is called before something more is told by a stream: an
// error ends it, since its token was removed or has expired.
func (h *Handler) standing(r *http.Request) func() error {
	looked := time.Now()
	return func() error {
		if time.Since(looked) < lookAgain {
			return nil
		}
		looked = time.Now()
		_, err := h.person(r)
		if err == nil || web.ProblemOf(err).Code != bellhop.NotAllowed { // such as that they ask too often
			return nil
		}
		return err
	}
}

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
	leave, err := h.watchers.enter(c.person)
	if err != nil {
		return err
	}
	defer leave()
	stands := h.standing(r)
	ev := &events{w: w, ctx: r.Context()}
	ev.begin()
	highest := after
	return ev.end(h.front.Watch(r.Context(), c.person, after, func(run *bellhop.Run) error {
		if err := stands(); err != nil {
			return err
		}
		if run == nil {
			return ev.alive()
		}
		highest = max(highest, run.ID)
		return ev.send(highest.String(), "run", toRun(*run))
	}))
}
