package outside_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is Bellhop in memory, for one source. What is waiting is in rows; what
// a run has written is in out.
type house struct {
	mu        sync.Mutex
	rows      []bellhop.OutboxRow
	runs      map[bellhop.RunID]bellhop.Run
	rule      bellhop.ReportRule
	out       string
	delivered map[int64]string
	heard     []bellhop.Event
	answer    bellhop.Answer
	fails     error
	news      map[chan struct{}]bool
	values    map[string][]byte
}

func newHouse() *house {
	return &house{
		runs: map[bellhop.RunID]bellhop.Run{}, delivered: map[int64]string{}, news: map[chan struct{}]bool{}, values: map[string][]byte{},
		rule: bellhop.ReportRule{Stdout: true, Success: true, Format: bellhop.FormatText}, out: "done\n",
	}
}

// chat returns a source called irc.
func (h *house) chat(change func(*outside.Options)) *outside.Chat {
	o := outside.Options{Name: "irc", House: h, Values: values{h}}
	if change != nil {
		change(&o)
	}
	return outside.New(o)
}

// tell has something told of a run, at a place of the source.
func (h *house) tell(id int64, kind bellhop.ReportKind, note string) bellhop.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	run := bellhop.Run{ID: bellhop.RunID(id), Service: "site", Job: "deploy", State: bellhop.Succeeded, AskedBy: "alice"}
	if r, ok := h.runs[run.ID]; ok {
		run = r
	}
	h.runs[run.ID] = run
	row := bellhop.OutboxRow{ID: id, Kind: kind, Run: run.ID, Attempt: 1, Ask: bellhop.Ask{
		Principal: "alice", Identity: "irc:alice", Note: note,
		Origin: bellhop.Origin{Source: "irc", Channel: "#ops", Person: "irc:alice", Session: bellhop.OutsideSession("irc")},
	}}
	h.rows = append(h.rows, row)
	h.wake()
	return h.report(row)
}

func (h *house) wake() {
	for c := range h.news {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (h *house) report(row bellhop.OutboxRow) bellhop.Report {
	return bellhop.Report{ID: row.ID, Kind: row.Kind, Run: h.runs[row.Run], Attempt: bellhop.Attempt{N: 1}, Rule: h.rule, Ask: row.Ask}
}

// giveUp takes a report out of what is waiting. Nobody is told.
func (h *house) giveUp(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows = slices.DeleteFunc(h.rows, func(r bellhop.OutboxRow) bool { return r.ID == id })
}

func (h *house) refs() map[int64]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.delivered)
}

func (h *house) Waiting(_ context.Context, n int) ([]bellhop.OutboxRow, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.rows[:min(n, len(h.rows))]), nil
}

func (h *house) Compose(_ context.Context, row bellhop.OutboxRow) (bellhop.Report, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.report(row), nil
}

func (h *house) News() (<-chan struct{}, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan struct{}, 1)
	h.news[c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.news, c)
	}
}

func (h *house) Delivered(_ context.Context, id int64, ref string) error {
	h.mu.Lock()
	if h.fails != nil {
		h.mu.Unlock()
		return h.fails
	}
	h.delivered[id] = ref
	h.mu.Unlock()
	h.giveUp(id)
	return nil
}

func (h *house) Hear(_ context.Context, ev bellhop.Event) (bellhop.Answer, error) {
	h.heard = append(h.heard, ev)
	return h.answer, h.fails
}

func (h *house) Ask(ctx context.Context, ev bellhop.Event, service, job string, _ bellhop.Args) (bellhop.Answer, error) {
	ev.Text = "(" + service + "/" + job + ")"
	return h.Hear(ctx, ev)
}

func (h *house) Feed(_ context.Context, key string, data []byte, o bellhop.Origin) ([]outside.Fed, string, error) {
	h.heard = append(h.heard, bellhop.Event{Key: key, Text: string(data), Origin: o})
	return nil, "nothing wants it", h.fails
}

func (h *house) Run(context.Context, bellhop.Person, bellhop.RunID) (bellhop.Run, error) {
	return bellhop.Run{}, h.fails
}

func (h *house) Output(_ context.Context, _ bellhop.Person, _ bellhop.RunID, _ int, _ int64, _ bool, fn func(bellhop.Chunk) error) error {
	return h.Told(context.Background(), bellhop.Report{}, fn)
}

func (h *house) Told(_ context.Context, _ bellhop.Report, fn func(bellhop.Chunk) error) error {
	for i := 0; i < len(h.out); i += 1000 {
		data := h.out[i:min(i+1000, len(h.out))]
		if err := fn(bellhop.Chunk{Seq: int64(i/1000 + 1), Attempt: 1, Channel: bellhop.Stdout, Offset: int64(i), Data: []byte(data)}); err != nil {
			return err
		}
	}
	return nil
}

// values are bellhop.Values, of which sources read and write alone.
type values struct{ h *house }

func (v values) Get(_ context.Context, space, key string, _ time.Time) (bellhop.Stored, error) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	b, ok := v.h.values[space+" "+key]
	if !ok {
		return bellhop.Stored{}, bellhop.Errorf(bellhop.NotFound, "there is no %s", key)
	}
	return bellhop.Stored{Key: key, Value: b, Version: 1}, nil
}

func (v values) Put(_ context.Context, space, key string, value []byte, _ int64, _ time.Duration, _ time.Time) (int64, error) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	v.h.values[space+" "+key] = value
	return 1, nil
}

func (values) Delete(context.Context, string, string, int64, time.Time) error { return nil }

func (values) List(context.Context, string, string, string, int, time.Time) ([]bellhop.Stored, error) {
	return nil, nil
}

func (values) ForgetValues(context.Context, time.Time, int) (bool, error) { return false, nil }
