package server

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/session"
)

// unreadBatch is how many unread reports are read at a time.
const unreadBatch = 100

// desk is the server's own chat.Desk: one person, one session.
type desk struct {
	s       *Server
	person  bellhop.Person
	source  string
	session string
}

// desk opens a desk for one session of a person.
func (s *Server) desk(p bellhop.Person, source, session string) chat.Desk {
	d := &desk{s: s, person: p, source: source, session: session}
	if r := s.opt.rehearsal; r != nil {
		return overheard{desk: d, r: r}
	}
	return d
}

// origin is where this desk's reports go.
func (d *desk) origin() bellhop.Origin {
	o := bellhop.Origin{Source: d.source, Person: d.person.Identity, Session: d.session}
	if d.s.store.Shared { // others must know whose connection it is
		o.Server = d.s.name
	}
	return o
}

// Ask resolves one line and has it done.
func (d *desk) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	if err := d.s.open(ctx); err != nil {
		return bellhop.Answer{}, err
	}
	return d.s.hear(ctx, bellhop.Event{Key: d.key(key), Text: text, Person: d.person, Origin: d.origin(), Addressed: true})
}

// key is that of an event; "" stays so.
func (d *desk) key(key string) string {
	if key == "" {
		return ""
	}
	return d.source + "/" + d.person.Identity + "/" + key
}

func (d *desk) do(ctx context.Context, key string, inv bellhop.Invocation) (bellhop.Answer, error) {
	return d.s.carryOut(ctx, bellhop.Event{Key: d.key(key), Person: d.person, Origin: d.origin(), Addressed: true}, inv)
}

// Output calls fn for each piece of a run's output.
func (d *desk) Output(ctx context.Context, run bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	return d.s.engine.ReadOutput(ctx, d.person, run, 0, 0, follow, fn)
}

// Cancel ends one run.
func (d *desk) Cancel(ctx context.Context, run bellhop.RunID) ([]bellhop.CancelledRun, error) {
	a, err := d.do(ctx, rand.Text(), bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: run})
	return a.Cancelled, err
}

// Complete returns the words that may follow.
func (d *desk) Complete(ctx context.Context, line string) ([]string, error) {
	return d.s.table.Load().Complete(line, d.s.may(ctx, d.person)), nil
}

// Reports calls fn for each report to this session until ctx ends.
func (d *desk) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	d.s.clients.add(1)
	defer d.s.clients.add(-1)
	in := d.s.hub.Attach(d.session) // before looking, so that nothing falls between
	defer in.Close()
	told := make(map[int64]bool)
	if err := d.tell(ctx, "", d.session, told, fn); err != nil {
		return err
	}
	came := d.inherited()
	for {
		next, err := d.next(ctx, in, came)
		if errors.Is(err, errLook) {
			if err := d.tell(ctx, "", d.session, told, fn); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if id := next.Report.ID; !told[id] {
			if err := fn(next.Report); err != nil {
				next.Read(false)
				return err
			}
			told[id] = true
		}
		if !next.Read(true) { // it took longer than a delivery may
			d.delivered(ctx, next.Report.ID)
		}
	}
}

const (
	// inheritFor is how long after a server's start the connections of a former
	// one come back, and lookAgain how often is looked for what they are told.
	inheritFor = 2 * time.Minute
	lookAgain  = 2 * time.Second
)

// errLook says that nothing came, and that it is time to look.
var errLook = errors.New("time to look again")

// inherited reports whether this connection may have been another server's.
// What was asked by way of that one is told there, as far as the other servers
// of the store know; so when it has died, any of them may find that nobody is
// there to be told.
func (d *desk) inherited() bool {
	return d.s.store.Shared && d.s.clock.Now().Sub(d.s.started) < inheritFor
}

// next waits for a report; with look, not for ever.
func (d *desk) next(ctx context.Context, in *session.Session, look bool) (session.Delivery, error) {
	if !look {
		return in.Next(ctx)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, lookAgain, errLook)
	defer cancel()
	next, err := in.Next(waiting)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(waiting), errLook) {
		err = errLook
	}
	return next, err
}

// delivered writes down that a report was read, even when ctx has ended. What
// can't be written now is told once more at the next occasion.
func (d *desk) delivered(ctx context.Context, id int64) {
	err := d.s.store.Outbox.Settle(context.WithoutCancel(ctx), []bellhop.Settlement{{ID: id, State: bellhop.ReportDelivered, Now: d.s.clock.Now()}})
	if err != nil {
		d.s.log.Warn("that a report was read could not be written", "report", id, "error", err)
	}
}

// Unread calls fn for each report to this person that no connection has read.
// Those whose own connection is still there, or may come back, are left to it.
func (d *desk) Unread(ctx context.Context, fn func(bellhop.Report) error) error {
	return d.tell(ctx, d.s.engine.Identify(d.person).Principal(), "", make(map[int64]bool), fn)
}

// tell calls fn for unread reports of a principal or a session.
func (d *desk) tell(ctx context.Context, principal, session string, told map[int64]bool, fn func(bellhop.Report) error) error {
	limit := unreadBatch
	for {
		rows, err := d.s.store.Outbox.Unread(ctx, principal, session, limit)
		if err != nil {
			return err
		}
		fresh, skipped := 0, 0
		for _, row := range rows {
			if told[row.ID] || d.forOthers(principal, row.Ask.Origin) {
				skipped++
				continue
			}
			fresh++
			report, err := d.s.reporter.Compose(ctx, row)
			if err != nil {
				return err
			}
			if err := fn(report); err != nil {
				return err
			}
			told[row.ID] = true
			d.delivered(ctx, row.ID)
		}
		if fresh == 0 && len(rows) < limit {
			return nil
		}
		limit = unreadBatch + skipped // what is skipped must not hide the rest
	}
}

// forOthers reports whether an unread report is left to somebody else's
// connection: one of this server that is there, or may come back. One that
// another server found to be gone is gone, and a report without a session never
// had one.
func (d *desk) forOthers(principal string, o bellhop.Origin) bool {
	return principal != "" && o.Session != "" && (o.Server == "" || o.Server == d.s.name) && !d.s.hub.Ended(o.Session)
}

// counter counts what is there, and wakes who waits for none.
type counter struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed when n came down to 0; nil while nobody waits
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	if c.n == 0 && c.zero != nil {
		close(c.zero)
		c.zero = nil
	}
}

// wait returns when there is none, or ctx ends.
func (c *counter) wait(ctx context.Context) {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return
	}
	if c.zero == nil {
		c.zero = make(chan struct{})
	}
	zero := c.zero
	c.mu.Unlock()
	select {
	case <-zero:
	case <-ctx.Done():
	}
}
