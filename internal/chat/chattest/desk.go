// Package chattest holds what front ends are tested with: a desk that says
// what a test tells it to, pseudo-terminals, and the cases that every front
// end with a prompt must pass.
package chattest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Plan is how a run goes that Desk makes for an ask.
type Plan struct {
	Rule     bellhop.ReportRule
	Job      string // "SERVICE JOB"; "" = example hello
	Delay    time.Duration
	Output   []Piece       // written as soon as the run is asked for
	Hold     bool          // the run goes on until Finish
	State    bellhop.State // in which it ends; "" = Succeeded
	Status   int           // exit status; 0 = none unless State is Succeeded
	Error    string
	Verdict  bellhop.Verdict
	Previous bellhop.State
	Warnings []string
}

// Piece is a piece of output. Skip is how many bytes before it were not kept.
type Piece struct {
	Channel bellhop.Channel
	Text    string
	Skip    int64
	Attempt int // 0 = 1
}

// Out and Err are pieces of stdout and stderr.
func Out(text string) Piece { return Piece{Channel: bellhop.Stdout, Text: text} }

// Err is a piece of stderr.
func Err(text string) Piece { return Piece{Channel: bellhop.Stderr, Text: text} }

// Desk is a chat.Desk in memory that answers as a test says. It has no rules
// of its own. Its methods may be used from any goroutine.
type Desk struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	plans   map[string]Plan
	answers map[string]bellhop.Answer
	refused map[string]error
	runs    map[bellhop.RunID]*run
	last    bellhop.RunID
	outbox  []bellhop.Report
	unread  []bellhop.Report
	asked   []string
	read    []bellhop.RunID
	ended   []bellhop.RunID // cancelled
	words   map[string][]string
}

type run struct {
	plan   Plan
	chunks []bellhop.Chunk
	offset map[place]int64
	over   bool
}

// place is one channel of one attempt.
type place struct {
	attempt int
	channel bellhop.Channel
}

var _ chat.Desk = (*Desk)(nil)

// NewDesk returns a desk that understands nothing yet.
func NewDesk() *Desk {
	return &Desk{
		changed: make(chan struct{}),
		plans:   map[string]Plan{}, answers: map[string]bellhop.Answer{}, refused: map[string]error{},
		runs: map[bellhop.RunID]*run{}, words: map[string][]string{},
	}
}

// OnRun makes text ask for a run that goes as planned.
func (d *Desk) OnRun(text string, p Plan) { d.change(func() { d.plans[text] = p }) }

// OnAnswer makes text be answered.
func (d *Desk) OnAnswer(text string, a bellhop.Answer) { d.change(func() { d.answers[text] = a }) }

// OnError makes text be refused.
func (d *Desk) OnError(text string, err error) { d.change(func() { d.refused[text] = err }) }

// OnComplete says what the last word of line may become.
func (d *Desk) OnComplete(line string, words ...string) { d.change(func() { d.words[line] = words }) }

// AddUnread makes a run that ended while nobody was there.
func (d *Desk) AddUnread(p Plan) bellhop.RunID {
	var id bellhop.RunID
	d.change(func() {
		id = d.begin(p)
		d.unread = append(d.unread, d.end(id))
	})
	return id
}

// Asked returns the lines that were asked, in order.
func (d *Desk) Asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.asked...)
}

// Read returns the runs whose reports have been read, in order.
func (d *Desk) Read() []bellhop.RunID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]bellhop.RunID(nil), d.read...)
}

// Cancelled returns the runs that Cancel was called for, in order.
func (d *Desk) Cancelled() []bellhop.RunID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]bellhop.RunID(nil), d.ended...)
}

// Write adds output to a run that is held.
func (d *Desk) Write(id bellhop.RunID, pieces ...Piece) {
	d.change(func() { d.runs[id].write(pieces) })
}

// Finish ends a run that is held, as it was planned.
func (d *Desk) Finish(id bellhop.RunID) {
	d.change(func() { d.outbox = append(d.outbox, d.end(id)) })
}

// WaitAsked waits until n lines were asked, at most a minute.
func (d *Desk) WaitAsked(n int) bool {
	return d.Wait(func() bool { return len(d.asked) >= n })
}

// WaitRead waits until n reports were read, at most a minute.
func (d *Desk) WaitRead(n int) bool {
	return d.Wait(func() bool { return len(d.read) >= n })
}

// WaitCancelled waits until n runs were cancelled, at most a minute.
func (d *Desk) WaitCancelled(n int) bool {
	return d.Wait(func() bool { return len(d.ended) >= n })
}

// Wait waits until ok, called with the desk locked, returns true.
func (d *Desk) Wait(ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return d.wait(ctx, ok) == nil
}

func (d *Desk) wait(ctx context.Context, ok func() bool) error {
	for {
		d.mu.Lock()
		yes, changed := ok(), d.changed
		d.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Desk) change(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Desk) begin(p Plan) bellhop.RunID {
	d.last++
	r := &run{plan: p, offset: map[place]int64{}}
	r.write(p.Output)
	d.runs[d.last] = r
	return d.last
}

func (r *run) write(pieces []Piece) {
	for _, p := range pieces {
		at := place{max(1, p.Attempt), p.Channel}
		r.offset[at] += p.Skip
		r.chunks = append(r.chunks, bellhop.Chunk{
			Seq: int64(len(r.chunks) + 1), Attempt: at.attempt, Channel: p.Channel, Offset: r.offset[at], Data: []byte(p.Text),
		})
		r.offset[at] += int64(len(p.Text))
	}
}

// end ends a run and returns its report.
func (d *Desk) end(id bellhop.RunID) bellhop.Report {
	r := d.runs[id]
	r.over = true
	out := r.record(id)
	return bellhop.Report{
		ID: int64(id), Kind: bellhop.ReportOutcome, Run: out, Rule: r.plan.Rule,
		Attempt: bellhop.Attempt{N: 1, ExitStatus: out.ExitStatus, Reason: out.Error},
	}
}

// record is the run as it stands.
func (r *run) record(id bellhop.RunID) bellhop.Run {
	p := r.plan
	now := time.Now()
	if !r.over {
		out := bellhop.Run{ID: id, State: bellhop.Running, AskedBy: "alice", Created: now, Started: &now, Attempt: 1}
		out.Service, out.Job, _ = strings.Cut(p.job(), " ")
		return out
	}
	out := bellhop.Run{
		ID: id, State: bellhop.Succeeded, Verdict: p.Verdict, Previous: p.Previous, Error: p.Error, Warnings: p.Warnings,
		AskedBy: "alice", Created: now, Started: &now, Finished: &now, Attempt: 1,
	}
	out.Service, out.Job, _ = strings.Cut(p.job(), " ")
	if p.State != "" {
		out.State = p.State
	}
	if p.Status != 0 || out.State == bellhop.Succeeded {
		out.ExitStatus = &p.Status
	}
	return out
}

// Forget makes a run one that there never was.
func (d *Desk) Forget(id bellhop.RunID) { d.change(func() { delete(d.runs, id) }) }

func (p Plan) job() string {
	if p.Job == "" {
		return "example hello"
	}
	return p.Job
}

// why answers with a run's record. Conversations ask that by themselves, so it
// is not among what was Asked.
func (d *Desk) why(text string) (bellhop.Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, err := bellhop.ParseRunID(text)
	if err != nil {
		return bellhop.Answer{}, err
	}
	r, ok := d.runs[id]
	if !ok {
		return bellhop.Answer{}, bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
	}
	record := r.record(id)
	return bellhop.Answer{Action: bellhop.ActionWhy, Why: &record}, nil
}

// Ask answers as the test said; what it did not say is Invalid.
func (d *Desk) Ask(ctx context.Context, key, text string) (a bellhop.Answer, err error) {
	if key == "" {
		return a, bellhop.Errorf(bellhop.Internal, "an ask without a key")
	}
	if id, ok := strings.CutPrefix(text, "why "); ok {
		return d.why(id)
	}
	d.change(func() {
		d.asked = append(d.asked, text)
		if a, err = d.answers[text], d.refused[text]; err != nil || a.Action != "" {
			return
		}
		p, ok := d.plans[text]
		if !ok {
			err = bellhop.Errorf(bellhop.Invalid, "I did not understand %q; type: help", text)
			return
		}
		id := d.begin(p)
		if !p.Hold {
			d.outbox = append(d.outbox, d.end(id))
		}
		a = bellhop.Answer{Action: bellhop.ActionRun, Accepted: &bellhop.Accepted{
			Run: id, How: bellhop.Created, Start: time.Now().Add(p.Delay), Job: p.job(), Rule: p.Rule,
		}}
	})
	return a, err
}

// Output gives a run's chunks.
func (d *Desk) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	for next := 0; ; {
		var chunks []bellhop.Chunk
		over, known := false, false
		err := d.wait(ctx, func() bool {
			r := d.runs[id]
			if known = r != nil; !known {
				return true
			}
			chunks, over = r.chunks[next:], r.over
			return len(chunks) > 0 || over || !follow
		})
		switch {
		case err != nil:
			return err
		case !known:
			return bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
		}
		for _, c := range chunks {
			if err := fn(c); err != nil {
				return err
			}
			next++
		}
		if over || !follow {
			return nil
		}
	}
}

// Reports delivers the reports of runs that ended.
func (d *Desk) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	for {
		var r bellhop.Report
		err := d.wait(ctx, func() bool {
			if len(d.outbox) == 0 {
				return false
			}
			r, d.outbox = d.outbox[0], d.outbox[1:]
			return true
		})
		if err != nil {
			return err
		}
		d.deliver(r, fn)
	}
}

func (d *Desk) deliver(r bellhop.Report, fn func(bellhop.Report) error) {
	err := fn(r)
	d.change(func() {
		if err != nil {
			d.unread = append(d.unread, r)
			return
		}
		d.read = append(d.read, r.Run.ID)
	})
}

// Unread delivers what AddUnread and failed deliveries left.
func (d *Desk) Unread(ctx context.Context, fn func(bellhop.Report) error) error {
	d.mu.Lock()
	rest := d.unread
	d.unread = nil
	d.mu.Unlock()
	for _, r := range rest {
		d.deliver(r, fn)
	}
	return ctx.Err()
}

// Cancel ends a run that is held.
func (d *Desk) Cancel(ctx context.Context, id bellhop.RunID) (done []bellhop.CancelledRun, err error) {
	d.change(func() {
		r, ok := d.runs[id]
		if !ok {
			err = bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
			return
		}
		d.ended = append(d.ended, id)
		if r.over {
			done = []bellhop.CancelledRun{{Run: id, Effect: bellhop.CancelTooLate, State: bellhop.Succeeded}}
			return
		}
		r.plan.State, r.plan.Status, r.plan.Error = bellhop.Cancelled, 143, "cancelled by alice"
		d.outbox = append(d.outbox, d.end(id))
		done = []bellhop.CancelledRun{{Run: id, Effect: bellhop.CancelStopping, State: bellhop.Running}}
	})
	return done, err
}

// Complete returns what OnComplete said.
func (d *Desk) Complete(ctx context.Context, line string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.words[line], nil
}
