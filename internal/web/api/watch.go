package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// maxWatchers is how many streams of everything there are at a time, and
// maxWatching of one principal. They look into the store together; each has a
// connection, and is written to.
const (
	maxWatchers = 1000
	maxWatching = 200
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
	return standing(func() error { _, err := h.person(r); return err })
}

func standing(proof func() error) func() error {
	looked := time.Now()
	return func() error {
		if time.Since(looked) < lookAgain {
			return nil
		}
		looked = time.Now()
		err := proof()
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
	err = h.front.Watch(r.Context(), c.person, after, func(runs []*bellhop.Run) error {
		if err := stands(); err != nil {
			return err
		}
		if len(runs) == 0 {
			return ev.alive()
		}
		for _, run := range runs {
			text, err := h.texts.of(run)
			if err != nil {
				return err
			}
			highest = max(highest, run.ID)
			ev.add(highest.String(), "run", text)
		}
		return ev.flush()
	})
	if errors.Is(err, bellhop.ErrBehind) {
		return nil // as if it were cut, so that the client comes back
	}
	return ev.end(err)
}

// keptTexts is how many runs are kept as they were written last: those who watch
// are told of the same ones at about the same time.
const keptTexts = 1024

// texts writes each run once for all who are told of it.
type texts struct {
	mu   sync.Mutex
	by   map[*bellhop.Run][]byte
	ring [keptTexts]*bellhop.Run // in the order in which they came
	next int
}

// of returns a run, which never changes, as JSON.
func (t *texts) of(run *bellhop.Run) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := t.by[run]; text != nil {
		return text, nil
	}
	text, err := json.Marshal(toRun(*run))
	if err != nil {
		return nil, err
	}
	if t.by == nil {
		t.by = make(map[*bellhop.Run][]byte)
	}
	if len(text) > keptText {
		return text, nil
	}
	delete(t.by, t.ring[t.next])
	t.by[run], t.ring[t.next] = text, run
	t.next = (t.next + 1) % keptTexts
	return text, nil
}

// keptText is the longest text that is kept, in bytes.
const keptText = 16 << 10
