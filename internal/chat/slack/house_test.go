package slack_test

import (
	"context"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// house is a chat.House that does what a test says.
type house struct {
	script func(ev bellhop.Event) (bellhop.Answer, error)

	mu      sync.Mutex
	events  []bellhop.Event // in the order in which they came, repeated ones too
	answers map[string]bellhop.Answer
	lastRun bellhop.RunID
	runs    map[bellhop.RunID]*run
}

// run is one that a test drives.
type run struct {
	bellhop.Run
	chunks  []bellhop.Chunk
	changed chan struct{}
}

func newHouse() *house {
	h := &house{answers: map[string]bellhop.Answer{}, runs: map[bellhop.RunID]*run{}, lastRun: 73}
	h.script = h.usual
	return h
}

// usual understands a few commands.
func (h *house) usual(ev bellhop.Event) (bellhop.Answer, error) {
	text := ev.Text
	if !ev.Addressed {
		rest, ok := strings.CutPrefix(text, "bellhop ")
		if !ok {
			return bellhop.Answer{}, nil
		}
		text = rest
	}
	switch {
	case strings.HasPrefix(text, "deploy"), strings.HasPrefix(text, "say"), strings.HasPrefix(text, "retry"):
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: h.accept(ev)}, nil
	case text == "help":
		return bellhop.Answer{Action: bellhop.ActionHelp, Text: "say hello   Says hello"}, nil
	case strings.HasPrefix(text, "cancel "):
		id, err := bellhop.ParseRunID(text[len("cancel "):])
		return bellhop.Answer{Action: bellhop.ActionCancelRun, Cancelled: []bellhop.CancelledRun{{Run: id, Effect: bellhop.CancelStopping}}}, err
	case strings.HasPrefix(text, "logs "):
		id, err := bellhop.ParseRunID(text[len("logs "):])
		return bellhop.Answer{Action: bellhop.ActionLogs, Run: id}, err
	case text == "secret":
		return bellhop.Answer{}, bellhop.Errorf(bellhop.NotAllowed, "secret is for ops only")
	}
	return bellhop.Answer{}, bellhop.Errorf(bellhop.NotFound, "%q is not known; say help", text)
}

// accept makes a run. The mutex is held.
func (h *house) accept(ev bellhop.Event) *bellhop.Accepted {
	h.lastRun++
	id := h.lastRun
	started := time.Now()
	h.runs[id] = &run{
		Run: bellhop.Run{
			ID: id, Service: "deploys", Job: "deploy", Args: bellhop.Args{"env": bellhop.Text("staging")}, State: bellhop.Running,
			AskedBy: ev.Person.Principal(), Origin: ev.Origin, Started: &started, Attempt: 1, Digest: "d1",
		},
		changed: make(chan struct{}),
	}
	return &bellhop.Accepted{Run: id, How: bellhop.Created, Job: "deploys deploy", Rule: bellhop.ReportRule{Success: true}}
}

// Hear answers the same event the same.
func (h *house) Hear(_ context.Context, ev bellhop.Event) (bellhop.Answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, ev)
	if a, ok := h.answers[ev.Key]; ok {
		return a, nil
	}
	a, err := h.script(ev)
	if err == nil {
		again := a
		if a.Accepted != nil {
			r := *a.Accepted
			r.How, again.Accepted = bellhop.Repeated, &r
		}
		h.answers[ev.Key] = again
	}
	return a, err
}

func (h *house) Run(_ context.Context, _ bellhop.Person, id bellhop.RunID) (bellhop.Run, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.runs[id]
	if !ok {
		return bellhop.Run{}, bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
	}
	return r.Run, nil
}

func (h *house) Output(ctx context.Context, _ bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	for n := 0; ; {
		h.mu.Lock()
		r, ok := h.runs[id]
		if !ok {
			h.mu.Unlock()
			return bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
		}
		chunks, over, changed := slices.Clone(r.chunks), r.State.Terminal(), r.changed
		h.mu.Unlock()
		for ; n < len(chunks); n++ {
			if err := fn(chunks[n]); err != nil {
				return err
			}
		}
		if over || !follow {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *house) Told(ctx context.Context, r bellhop.Report, fn func(bellhop.Chunk) error) error {
	return h.Output(ctx, bellhop.Person{}, r.Run.ID, 0, 0, false, fn)
}

// print has a run write something.
func (h *house) print(id bellhop.RunID, ch bellhop.Channel, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.run(id)
	var offset int64
	for _, c := range r.chunks {
		if c.Channel == ch {
			offset += int64(len(c.Data))
		}
	}
	r.chunks = append(r.chunks, bellhop.Chunk{Seq: int64(len(r.chunks) + 1), Attempt: 1, Channel: ch, Offset: offset, Data: []byte(text)})
	close(r.changed)
	r.changed = make(chan struct{})
}

// run returns a run, made when it is not there. The mutex is held.
func (h *house) run(id bellhop.RunID) *run {
	if h.runs[id] == nil {
		started := time.Now()
		h.runs[id] = &run{Run: bellhop.Run{ID: id, Service: "deploys", Job: "deploy", State: bellhop.Running, AskedBy: "alice", Started: &started, Attempt: 1}, changed: make(chan struct{})}
	}
	return h.runs[id]
}

// end ends a run and returns the report of it for one ask.
func (h *house) end(id bellhop.RunID, state bellhop.State, rule bellhop.ReportRule, o bellhop.Origin) bellhop.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.run(id)
	now := time.Now()
	r.State, r.Finished = state, &now
	r.Verdict = bellhop.Success
	if state != bellhop.Succeeded {
		one := 1
		r.Verdict, r.ExitStatus = bellhop.Fail, &one
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return bellhop.Report{
		ID: int64(id) * 10, Kind: bellhop.ReportOutcome, Run: r.Run, Rule: rule, Attempt: bellhop.Attempt{N: 1, ExitStatus: r.ExitStatus},
		Ask: bellhop.Ask{Principal: r.AskedBy, Identity: o.Person, Origin: o},
	}
}

// heard returns the events, each once.
func (h *house) heard() []bellhop.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []bellhop.Event
	seen := map[string]bool{}
	for _, ev := range h.events {
		if !seen[ev.Key] {
			list = append(list, ev)
		}
		seen[ev.Key] = true
	}
	return list
}

// made returns how many runs there are.
func (h *house) made() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.runs)
}

// values is a bellhop.Values in memory.
type values struct {
	mu   sync.Mutex
	all  map[string]bellhop.Stored
	fail bool // Unavailable
}

func newValues() *values { return &values{all: map[string]bellhop.Stored{}} }

func (v *values) away() error {
	if v.fail {
		return bellhop.Errorf(bellhop.Unavailable, "the store is away")
	}
	return nil
}

func (v *values) Get(_ context.Context, ns, key string, now time.Time) (bellhop.Stored, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.away(); err != nil {
		return bellhop.Stored{}, err
	}
	s, ok := v.all[ns+"\x00"+key]
	if !ok || !s.Expires.IsZero() && !now.Before(s.Expires) {
		return bellhop.Stored{}, bellhop.Errorf(bellhop.NotFound, "there is no value %s", key)
	}
	return s, nil
}

func (v *values) Put(_ context.Context, ns, key string, value []byte, version int64, ttl time.Duration, now time.Time) (int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.away(); err != nil {
		return 0, err
	}
	if len(ns) > 200 || len(key) > 200 {
		return 0, bellhop.Errorf(bellhop.Invalid, "the key %s is too long", key)
	}
	old, ok := v.all[ns+"\x00"+key]
	if ok && !old.Expires.IsZero() && !now.Before(old.Expires) {
		ok, old = false, bellhop.Stored{}
	}
	if version == 0 && ok || version > 0 && version != old.Version {
		return 0, bellhop.Errorf(bellhop.Conflict, "the value %s is another", key)
	}
	s := bellhop.Stored{Key: key, Value: slices.Clone(value), Version: old.Version + 1}
	if ttl > 0 {
		s.Expires = now.Add(ttl)
	}
	v.all[ns+"\x00"+key] = s
	return s.Version, nil
}

func (v *values) Delete(_ context.Context, ns, key string, _ int64, _ time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, ns+"\x00"+key)
	return v.away()
}

func (v *values) List(_ context.Context, ns, prefix, after string, n int, now time.Time) ([]bellhop.Stored, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []bellhop.Stored
	for k, s := range v.all {
		if strings.HasPrefix(k, ns+"\x00"+prefix) && s.Key > after && (s.Expires.IsZero() || now.Before(s.Expires)) {
			list = append(list, s)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	return list[:min(n, len(list))], v.away()
}

func (v *values) ForgetValues(context.Context, time.Time, int) (bool, error) { return false, nil }

// world is a chat in a workspace.
type world struct {
	*slacktest.Server
	t     testing.TB
	house *house
	vals  *values
	chat  *slack.Chat
	opt   slack.Options
}

// start starts a chat in a workspace.
func start(t testing.TB, o slacktest.Options, set ...func(*slack.Options)) *world {
	t.Helper()
	w := &world{Server: slacktest.New(t, o), t: t, house: newHouse(), vals: newValues()}
	w.opt = slack.Options{
		AppToken: slacktest.AppToken, BotToken: slacktest.BotToken, APIURL: w.URL, House: w.house, Values: w.vals,
		ProgressAfter: time.Hour, Quiet: 5 * time.Second,
	}
	for _, fn := range set {
		fn(&w.opt)
	}
	w.begin()
	return w
}

// begin starts the chat, maybe once more.
func (w *world) begin() {
	w.t.Helper()
	c, err := slack.New(w.opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.chat = c
	if err := c.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(c) })
	if !w.opt.Events {
		w.until("a socket is open", func() bool { return w.Sockets() > 0 })
	}
}

func (w *world) stop(c *slack.Chat) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for range 2 { // it may be called twice
		if err := c.Stop(ctx); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) until(what string, is func() bool) { w.t.Helper(); w.Wait(w.t, what, is) }

// quiet waits until all that was said has been taken.
func (w *world) quiet() {
	w.t.Helper()
	w.until("everything is acknowledged", func() bool { return w.Waiting() == 0 })
}

// deliver delivers a report.
func (w *world) deliver(r bellhop.Report) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ref, err := w.chat.Deliver(ctx, r)
	if err != nil {
		w.t.Fatalf("delivering: %v", err)
	}
	return ref
}

// origin is that of the last event that was heard.
func (w *world) origin() bellhop.Origin {
	w.t.Helper()
	list := w.house.heard()
	if len(list) == 0 {
		w.t.Fatal("nothing was heard")
	}
	return list[len(list)-1].Origin
}
