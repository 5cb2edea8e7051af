package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/conversation"
	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

// RehearsalOptions are what a Rehearsal is made of. Config is needed.
type RehearsalOptions struct {
	Config *Loaded
	Log    *slog.Logger // nil = discarded
	// Real has jobs that are not fake carried out as ever; without it they are
	// not started.
	Real bool
	// Listen starts chats and the control socket; without it nobody can reach
	// the server from outside.
	Listen   bool
	Watchdog []string // as in Options; for Real alone
}

// Rehearsal is a server on which a configuration is tried out: with a store of
// its own that goes with it, a clock that can be moved, and fakes in place of
// jobs. It is what is behind a conversation.Stage (House, Ears).
type Rehearsal struct {
	Clock *conversation.MovingClock

	opt      RehearsalOptions
	server   *Server
	channels *channels
	folder   string
	fakes    *fake.Executor
	stop     sync.Once

	mu    sync.Mutex
	heard int
	desks map[string]*desk // by identity: where they spoke last
	more  chan struct{}    // closed when something was heard
}

var (
	_ conversation.House = (*Rehearsal)(nil)
	_ conversation.Ears  = (*Rehearsal)(nil)
)

// rehearsalLease outlasts whatever a clock is moved by: nothing is lost here.
const rehearsalLease = 10 * 366 * 24 * time.Hour

// Rehearse starts a Rehearsal, and returns a line per listener.
func Rehearse(ctx context.Context, o RehearsalOptions) (*Rehearsal, []Line, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	folder, err := os.MkdirTemp("", "bellhop-test-")
	if err != nil {
		return nil, nil, bellhop.Errorf(bellhop.Unavailable, "there is no room for a temporary store: %w", err)
	}
	r := &Rehearsal{Clock: &conversation.MovingClock{}, opt: o, folder: folder, desks: map[string]*desk{}, more: make(chan struct{})}
	r.channels = newChannels(r, o.Config.Chats)
	cfg := *o.Config.Config
	cfg.Store = config.Store{Kind: config.SQLite, Path: filepath.Join(folder, "bellhop.db")}
	cfg.Lease = rehearsalLease
	r.server = New(Options{
		Config: &Loaded{Config: &cfg, table: o.Config.table}, Version: "test", Log: o.Log, Watchdog: o.Watchdog, rehearsal: r,
	})
	lines, err := r.server.Start(ctx)
	if err != nil {
		r.Stop()
		return nil, nil, err
	}
	return r, lines, nil
}

// Stop ends what works, and everything else. It may be called twice.
func (r *Rehearsal) Stop() {
	r.stop.Do(func() {
		r.server.Stop(context.Background(), 0)
		_ = os.RemoveAll(r.folder)
	})
}

// instead returns what carries out jobs in place of ex.
func (r *Rehearsal) instead(ex bellhop.Executor) bellhop.Executor {
	o := fake.Options{Clock: r.Clock}
	if r.opt.Real {
		o.Else = ex
	}
	r.fakes = fake.New(o)
	return r.fakes
}

// Person is who a script means by a name or an identity, as one of a source's
// people. A name is one of `people:`; without that section, any is somebody
// whose key is in authorized_keys. An identity is a guest's.
func (r *Rehearsal) Person(source, name string) (bellhop.Person, error) {
	access := r.server.config.Load().Catalog.Access
	return personOf(access, source, name)
}

// Stage opens a front end called test. Whoever speaks in no place in particular
// does so at a prompt, as `bellhop chat` has it.
func (r *Rehearsal) Stage() *Stage {
	const source = "console"
	return &Stage{channels: r.channels, Terminals: &conversation.Terminals{
		House: r, Ears: r, Front: "test", Prompt: chat.PromptText, Greeting: Greeting,
		Open: func(ctx context.Context, name string) (io.ReadWriteCloser, error) {
			p, err := r.Person(source, name)
			if err != nil {
				return nil, err
			}
			return r.PromptOn(ctx, r.server.desk(p, source, rand.Text())), nil
		},
	}}
}

// Greeting begins the first line at each prompt.
const Greeting = "This is Bellhop."

// PromptOn opens a prompt on any desk of this rehearsal.
func (r *Rehearsal) PromptOn(ctx context.Context, d chat.Desk) *Terminal {
	return newTerminal(ctx, d, chat.Options{Exit: chat.AskExit(), Clock: zoned{r.Clock, r.server.config.Load().Location}})
}

// ControlAs makes a control socket at whose other end is always one person.
func (r *Rehearsal) ControlAs(path string, p bellhop.Person) error {
	return r.server.control(path, func(*http.Request) (bellhop.Person, error) { return p, nil })
}

// Fake makes a job do what a script says (conversation.House).
func (r *Rehearsal) Fake(s conversation.Step) error {
	job, err := r.server.config.Load().faked(s)
	if err == nil {
		r.fakes.Set(job.Service, job.Name, s.Plays...)
	}
	return err
}

// Move moves the clock on (conversation.House).
func (r *Rehearsal) Move(d time.Duration) error {
	r.Clock.Move(d)
	return nil
}

// SetClock sets the clock (conversation.House).
func (r *Rehearsal) SetClock(text string) error {
	to, err := time.ParseInLocation("2006-01-02 15:04", text, r.server.config.Load().Location)
	if err != nil {
		return err
	}
	r.Clock.Move(to.Sub(r.Clock.Now()))
	return nil
}

// look is between two looks at what goes on.
const look = 2 * time.Millisecond

// soon is what is waited for although only the clock holds it up.
const soon = 3 * time.Second

// Settle waits until no run can go on by itself soon, and everybody was told
// (conversation.House).
func (r *Rehearsal) Settle(ctx context.Context) error {
	for {
		busy, err := r.busy(ctx)
		if err != nil {
			return err
		}
		if !busy {
			r.server.reporter.Flush(partStop)
			if busy, err = r.busy(ctx); err != nil || !busy { // what follows what ended is there by now
				return err
			}
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var unended = bellhop.RunFilter{States: []bellhop.State{bellhop.Held, bellhop.Waiting, bellhop.Running}}

// operator sees what every run waits for.
var operator = bellhop.Person{Identity: "local:test", Listed: true}

// busy reports whether a run goes on by itself, now or soon.
func (r *Rehearsal) busy(ctx context.Context) (bool, error) {
	runs, err := r.server.engine.Runs(ctx, operator, unended)
	if err != nil {
		return false, err
	}
	horizon := r.Clock.Now().Add(soon)
	for _, run := range runs {
		until, ok := r.still(run)
		if !ok || !until.IsZero() && until.Before(horizon) {
			return true, nil
		}
	}
	return false, nil
}

// still reports whether a run stands still, and until when; zero = it is not
// the clock alone that it waits for.
func (r *Rehearsal) still(run bellhop.Run) (until time.Time, ok bool) {
	switch {
	case run.State == bellhop.Running:
		return r.fakes.Asleep(run.ID)
	case run.Wait == nil || run.Wait.Reason == bellhop.WaitPlace:
		return time.Time{}, run.State == bellhop.Held
	case run.Wait.Reason == bellhop.WaitConcurrency:
		return time.Time{}, true
	}
	return run.Wait.Until, true
}

// Pending says what has not ended, and why; and which jobs were not started
// because they are not fake (conversation.House).
func (r *Rehearsal) Pending() (waits, faults []string) {
	for _, name := range r.fakes.Refused() {
		faults = append(faults, fmt.Sprintf("%s is not fake, so it was not started; add the line `fake %s: \"what it prints\"`, or have jobs that are not fake carried out in earnest: bellhop test --run", name, name))
	}
	runs, err := r.server.engine.Runs(context.Background(), operator, unended)
	if err != nil {
		return []string{err.Error()}, faults
	}
	for _, run := range runs {
		text := fmt.Sprintf("%s %s %s is %s", run.ID, run.Service, run.Job, run.State)
		if run.Wait != nil {
			text += " (" + string(run.Wait.Reason) + ")"
		}
		if until, _ := r.still(run); !until.IsZero() {
			text += ", for " + chat.Duration(until.Sub(r.Clock.Now())) + " more; `wait` moves the clock"
		}
		waits = append(waits, text)
	}
	return waits, faults
}

// Heard waits until n lines were answered (conversation.Ears).
func (r *Rehearsal) Heard(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		heard, more := r.heard, r.more
		r.mu.Unlock()
		if heard >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Asked reports whether a question to somebody is open (conversation.Ears).
func (r *Rehearsal) Asked(front, name string) bool {
	p, err := r.Person(front, name)
	if err != nil {
		return false
	}
	r.mu.Lock()
	d := r.desks[p.Identity]
	r.mu.Unlock()
	return d != nil && r.AskedAt(d.person, d.origin())
}

// AskedAt reports whether a question to somebody is open in one place.
func (r *Rehearsal) AskedAt(p bellhop.Person, o bellhop.Origin) bool {
	who := r.server.engine.Identify(p).Person
	q, err := r.server.pending(context.Background(), placeOf(bellhop.Event{Person: who, Origin: o}))
	return err == nil && q != nil && q.Closed == "" && r.Clock.Now().Before(q.Expires)
}

// Runs lists all runs, newest first.
func (r *Rehearsal) Runs(ctx context.Context) ([]bellhop.Run, error) {
	return r.server.store.Records.Runs(ctx, bellhop.RunFilter{})
}

// overheard is a desk that lets its rehearsal know what was heard.
type overheard struct {
	*desk
	r *Rehearsal
}

// Ask hands over one line (chat.Desk).
func (d overheard) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	a, err := d.desk.Ask(ctx, key, text)
	if errors.Is(err, context.Canceled) {
		return a, err
	}
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	d.r.heard++
	d.r.desks[d.person.Identity] = d.desk
	close(d.r.more)
	d.r.more = make(chan struct{})
	return a, err
}
