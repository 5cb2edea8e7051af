package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Options says how a conversation looks and how it ends.
type Options struct {
	// Out takes what runs report and what was asked to be seen, Err receipts,
	// refusals, warnings and runs' stderr. They may be the same terminal.
	Out, Err io.Writer
	// OutTerminal and ErrTerminal say that what is written there must be safe
	// for a terminal; to anything else a run's bytes go untouched.
	OutTerminal, ErrTerminal bool
	// Color lets words and output have colours where there is a terminal.
	Color bool
	// FailuresToErr sends the text of a failed run to Err instead of Out.
	FailuresToErr bool
	// Command stands before commands that texts name: "bellhop ".
	Command string
	Exit    ExitTable
	Clock   bellhop.Clock // nil = the machine's
	// NewKey makes the key of an ask; nil = 128 random bits.
	NewKey func() string
	// OnPanic is called when a goroutine of the conversation panics, before
	// the panic goes on: the place to give a terminal back.
	OnPanic func()
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.NewKey == nil {
		o.NewKey = rand.Text
	}
	return o
}

// Conversation is one person talking to one desk. Once, Lines and a Prompt are
// three ways to hold it; a Conversation serves one of them, one time.
type Conversation struct {
	desk     Desk
	opt      Options
	out, err *port

	// asking is held while an ask is under way, so that a report never
	// overtakes the answer that names its run.
	asking sync.Mutex

	mu   sync.Mutex
	runs map[bellhop.RunID]*ownRun // asked here, not told yet
	last []bellhop.RunID           // keys of runs, oldest first
	told recent                    // runs whose outcome was told here

	live atomic.Int32 // runs whose output is shown now, as it is made

	wg      sync.WaitGroup
	once    bool          // there is no second line, so nothing can be asked back
	lost    chan struct{} // closed when no more reports will come
	lostErr error

	relisten func() // asks for reports anew; under mu, nil until they are asked for
}

// ownRun is a run that was asked for in this conversation.
type ownRun struct {
	id      bellhop.RunID
	rule    bellhop.ReportRule
	late    bool          // it had ended when its record was last looked at
	telling sync.Mutex    // held while its outcome is told
	live    chan struct{} // closed when live output is complete; nil = not live
	reader  *reader       // of the live output; to be read once live is closed
	err     error         // why live output stopped early; likewise
	done    chan struct{} // closed when the outcome was told
	status  int           // the exit status; to be read once done is closed
}

// New makes a conversation with a desk.
func New(d Desk, opt Options) *Conversation {
	opt = opt.withDefaults()
	c := &Conversation{desk: d, opt: opt, runs: map[bellhop.RunID]*ownRun{}, lost: make(chan struct{})}
	mu := &sync.Mutex{}
	c.out = &port{mu: mu, w: opt.Out, terminal: opt.OutTerminal, color: opt.Color}
	if !opt.OutTerminal || !opt.ErrTerminal {
		mu = &sync.Mutex{}
	}
	c.err = &port{mu: mu, w: opt.Err, terminal: opt.ErrTerminal, color: opt.Color}
	return c
}

// Once asks one line, shows live output and the outcome, and returns the exit
// status. When ctx ends first, the run goes on, and Err says how to see it.
func (c *Conversation) Once(ctx context.Context, text string) int {
	c.once = true
	stop := c.start(ctx)
	defer stop()
	return c.turn(ctx, text)
}

// start listens for reports until the returned function is called, which waits
// for every goroutine of the conversation.
func (c *Conversation) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.spawn(func() {
		defer close(c.lost)
		c.lostErr = c.listen(ctx)
	})
	c.spawn(func() { c.watch(ctx) })
	return func() {
		cancel()
		c.wg.Wait()
	}
}

// outagePause is how long is waited before reports are asked for again that
// the store could not tell.
const outagePause = time.Second

// listen tells reports until ctx ends or the desk will give no more. While the
// store is away it waits: what it has to tell is not lost.
func (c *Conversation) listen(ctx context.Context) error {
	for {
		again, err := c.listenOnce(ctx)
		if again {
			continue
		}
		if bellhop.CodeOf(err) != bellhop.Unavailable {
			return err
		}
		timer, stop := c.opt.Clock.NewTimer(outagePause)
		select {
		case <-timer:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// listenOnce tells reports as listen does, until they are to be asked for again.
func (c *Conversation) listenOnce(ctx context.Context) (again bool, err error) {
	once, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.relisten = cancel
	c.mu.Unlock()
	err = c.desk.Reports(once, func(r bellhop.Report) error { return c.tell(ctx, r) })
	return once.Err() != nil && ctx.Err() == nil && (err == nil || ctxEnded(err)), err
}

func (c *Conversation) spawn(fn func()) {
	c.wg.Go(func() {
		defer c.guard()
		fn()
	})
}

// guard gives the terminal back before a panic ends the process.
func (c *Conversation) guard() {
	if r := recover(); r != nil {
		if c.opt.OnPanic != nil {
			c.opt.OnPanic()
		}
		panic(r)
	}
}

func (c *Conversation) style(p *port) Style {
	return Style{Now: c.opt.Clock.Now(), Color: p.terminal && p.color, Command: c.opt.Command}
}

// turn asks one line and waits for all that it brings.
func (c *Conversation) turn(ctx context.Context, text string) int {
	a, own, err := c.ask(ctx, text)
	switch {
	case ctxEnded(err):
		_ = c.err.say("no answer came in time; to see whether it was accepted: " + c.opt.Command + "runs")
		return c.opt.Exit.OfError(err)
	case err != nil:
		return c.refuse(err)
	case own != nil:
		return c.await(ctx, own)
	case a.Run != 0:
		return c.refuse(c.logs(ctx, a.Run))
	case mine(a, text):
		return c.refuse(c.unread(ctx, notRead))
	}
	return 0
}

// refuse says why something was not done and returns its exit status, 0 for
// no error.
func (c *Conversation) refuse(err error) int {
	if err == nil {
		return 0
	}
	if ctxEnded(err) {
		return c.opt.Exit.OfError(err)
	}
	_ = c.err.say(c.style(c.err).ErrorText(err))
	return c.opt.Exit.OfError(err)
}

func ctxEnded(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ask hands a line over and words the answer. own is the run that it brought
// and whose outcome will be told, if any.
func (c *Conversation) ask(ctx context.Context, text string) (bellhop.Answer, *ownRun, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	a, err := c.desk.Ask(ctx, c.opt.NewKey(), text)
	if err != nil {
		return a, nil, err
	}
	if a.Question != nil && c.once {
		return a, nil, bellhop.Errorf(bellhop.Invalid, "%s", a.Question.Plain)
	}
	for _, cancelled := range a.Cancelled {
		if cancelled.Effect == bellhop.CancelWithdrawn {
			c.drop(cancelled.Run) // nothing more will be told of it
		}
	}
	if a.Accepted == nil {
		return a, nil, c.out.say(c.style(c.out).AnswerText(a))
	}
	// A receipt that can't be shown is no reason to forget the run.
	_ = c.err.say(c.style(c.err).AnswerText(a))
	if a.Accepted.Run == 0 {
		return a, nil, nil
	}
	return a, c.own(ctx, *a.Accepted), nil
}

// own keeps an accepted run in mind and shows its output live where its rule
// says so.
func (c *Conversation) own(ctx context.Context, a bellhop.Accepted) *ownRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.runs[a.Run]; ok {
		return o
	}
	o := &ownRun{id: a.Run, rule: a.Rule, done: make(chan struct{})}
	c.runs[a.Run] = o
	c.last = append(c.last, a.Run)
	if a.Rule.Live() {
		var end func()
		o.live = make(chan struct{})
		o.reader, end = c.liveReader(o.id)
		c.spawn(func() {
			defer close(o.live)
			defer end()
			o.err = o.reader.read(ctx, c.desk, o.id, true)
		})
	}
	return o
}

// await waits until a run's outcome was told.
func (c *Conversation) await(ctx context.Context, o *ownRun) int {
	select {
	case <-o.done:
		return o.status
	default:
	}
	select {
	case <-o.done:
		return o.status
	case <-ctx.Done():
	case <-c.lost:
	}
	_ = c.err.say(c.style(c.err).GoesOn(o.id))
	if ctx.Err() != nil {
		return c.opt.Exit.OfError(ctx.Err())
	}
	if c.lostErr == nil {
		return c.opt.Exit.Interrupted
	}
	return c.refuse(c.lostErr)
}

// tell shows one report.
func (c *Conversation) tell(ctx context.Context, r bellhop.Report) error {
	c.asking.Lock()
	c.mu.Lock()
	o := c.runs[r.Run.ID]
	c.mu.Unlock()
	c.asking.Unlock()
	if r.Kind != bellhop.ReportOutcome {
		return WriteOutcome(ctx, c.outlets(), c.desk, r, Shown{})
	}
	return c.outcome(ctx, o, r)
}

// outcome tells how a run ended, once; o is nil for one that was not asked for
// here.
func (c *Conversation) outcome(ctx context.Context, o *ownRun, r bellhop.Report) error {
	if o != nil {
		o.telling.Lock()
		defer o.telling.Unlock()
	}
	c.mu.Lock()
	told := c.told.has(r.Run.ID)
	c.mu.Unlock()
	if told {
		return nil // asked for twice here, delivered twice, or told from its record
	}
	var shown Shown
	if o != nil && o.live != nil {
		select {
		case <-o.live:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctxEnded(o.err) {
			return o.err
		}
		shown = Shown{Live: true, Stdout: o.reader.wrote(r.Attempt.N), Err: o.err}
	}
	err := WriteOutcome(ctx, c.outlets(), c.desk, r, shown)
	status := c.opt.Exit.OfRun(r.Run)
	if err != nil {
		if ctxEnded(err) || bellhop.CodeOf(err) == bellhop.Unavailable { // it will be told again
			return err
		}
		status = c.refuse(err)
	}
	c.settle(r.Run.ID, status)
	return err
}

func (c *Conversation) outlets() Outlets {
	to := Outlets{Out: c.out, Failures: c.out, Notes: c.err, Style: c.style(c.out)}
	if c.opt.FailuresToErr {
		to.Failures = c.err
	}
	return to
}

// settle notes that a run's outcome was told.
func (c *Conversation) settle(id bellhop.RunID, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told.add(id)
	if o, ok := c.runs[id]; ok {
		o.status = status
		close(o.done)
		c.forget(id)
	}
}

// drop forgets a run that one has withdrawn from.
func (c *Conversation) drop(id bellhop.RunID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.runs[id]; ok {
		o.status = c.opt.Exit.Cancelled
		close(o.done)
		c.forget(id)
	}
}

func (c *Conversation) forget(id bellhop.RunID) {
	delete(c.runs, id)
	for i, other := range c.last {
		if other == id {
			c.last = append(c.last[:i:i], c.last[i+1:]...)
			return
		}
	}
}

// Unfinished returns the runs that were asked for here and whose outcome was
// not told yet, oldest first.
func (c *Conversation) Unfinished() []bellhop.RunID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]bellhop.RunID(nil), c.last...)
}

// logs shows a run's output from its beginning until it has ended.
func (c *Conversation) logs(ctx context.Context, id bellhop.RunID) error {
	r, end := c.liveReader(id)
	defer end()
	return r.read(ctx, c.desk, id, true)
}

// liveReader shows a run's output while others may show theirs. end is called
// when it is complete.
func (c *Conversation) liveReader(id bellhop.RunID) (r *reader, end func()) {
	r = newReader(c.out, c.err)
	l := &label{id: id, live: &c.live}
	r.out.label, r.err.label = l, l
	r.begun = func() { c.live.Add(1) }
	r.again = func() { _ = c.err.say(c.style(c.err).again(id)) }
	return r, func() {
		if r.attempt != 0 {
			c.live.Add(-1)
		}
	}
}

// recent remembers the last thousand or so runs.
type recent struct {
	set  map[bellhop.RunID]bool
	list []bellhop.RunID
}

func (r *recent) has(id bellhop.RunID) bool { return r.set[id] }

func (r *recent) add(id bellhop.RunID) {
	if r.set == nil {
		r.set = map[bellhop.RunID]bool{}
	}
	if r.set[id] {
		return
	}
	r.set[id] = true
	if r.list = append(r.list, id); len(r.list) > 1000 {
		delete(r.set, r.list[0])
		r.list = r.list[1:]
	}
}
