// Package reporter takes reports out of the outbox and has them delivered to
// their origins, again and again until they are, or are given up visibly.
package reporter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// poll is how often the outbox is looked at without a hint.
	poll = time.Second
	// batch is how many reports are taken at a time, and maxTaken how many may
	// be under way.
	batch    = 256
	maxTaken = 20_000
	// takeFor is how long what was taken is left to this server. Within a
	// server a report is under way once, however long that takes.
	takeFor = 5 * time.Minute
	// firstRetry and lastRetry bound the pause before a delivery is tried again;
	// it doubles in between.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	// deliverFor is how long one delivery may take.
	deliverFor = time.Minute
)

// Options are what a Reporter is made of; Store, Bus and Destinations are
// needed.
type Options struct {
	Store        *bellhop.Store
	Bus          bellhop.Bus
	Destinations map[string]bellhop.Destination // by Origin.Source
	Server       string                         // as the store's Cluster knows it
	Clock        bellhop.Clock
	Log          *slog.Logger
	GiveUp       time.Duration // how old a report may become; 0 = 24 h
	// Instead says who is told that a report was given up, and why; nil =
	// nobody.
	Instead func(ctx context.Context, row bellhop.OutboxRow, why string) ([]bellhop.Ask, error)
	// Mask hides secrets in what is told of runs; nil = nothing is hidden.
	Mask func(string) string
}

// Presence is what a Destination may have besides, to say that an origin's
// connection has ended, so that nothing is read for it.
type Presence interface {
	// Here reports whether a report to the origin may be delivered now.
	Here(o bellhop.Origin) bool
}

// Reporter delivers reports. Those of one origin are delivered in order.
type Reporter struct {
	Options
	cancel context.CancelFunc
	loop   sync.WaitGroup
	writer settler

	mu    sync.Mutex
	busy  map[bellhop.Origin][]bellhop.OutboxRow // being delivered, and behind it
	rows  map[int64]bool                         // taken, and not known to be settled at the last look
	over  []int64                                // among them, settled since
	rules map[string]bellhop.ReportRule          // by a definition's digest
	looks int                                    // how often the outbox was read
	calm  int                                    // the last of these that found nothing
	ended bool
}

// New returns a reporter that is not started.
func New(o Options) *Reporter {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.GiveUp = cmp.Or(o.GiveUp, 24*time.Hour)
	return &Reporter{
		Options: o, busy: make(map[bellhop.Origin][]bellhop.OutboxRow), rows: make(map[int64]bool),
		rules: make(map[string]bellhop.ReportRule), writer: settler{wake: make(chan struct{}, 1)},
	}
}

// Start begins to deliver.
func (r *Reporter) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.startSettling(ctx)
	r.loop.Go(func() { r.run(ctx) })
	return nil
}

// Stop ends what is under way; what was not delivered stays in the outbox, for
// anybody. It may be called twice.
func (r *Reporter) Stop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.loop.Wait()
	r.giveBack()
	r.stopSettling()
}

// giveBack leaves what was taken and not delivered to who comes next.
func (r *Reporter) giveBack() {
	r.mu.Lock()
	r.ended = true
	queues := r.busy
	r.busy = make(map[bellhop.Origin][]bellhop.OutboxRow)
	r.mu.Unlock()
	now := r.Clock.Now()
	for _, rows := range queues {
		for _, row := range rows {
			r.settle(bellhop.Settlement{ID: row.ID, State: bellhop.ReportPending, Due: now, Now: now, Error: "the server stopped"})
		}
	}
}

// Flush returns when every report that is due has been tried, or after d.
func (r *Reporter) Flush(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	r.mu.Lock()
	from := r.looks + 1 // one that begins after this
	r.mu.Unlock()
	for {
		r.mu.Lock()
		done := r.ended || r.calm >= from && len(r.rows) == len(r.over)
		r.mu.Unlock()
		if done {
			return
		}
		r.Bus.Publish(bellhop.TopicOutbox)
		timer, stop := r.Clock.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-timer:
		}
		stop()
	}
}

func (r *Reporter) run(ctx context.Context) {
	news, end := r.Bus.Subscribe(bellhop.TopicOutbox)
	defer end()
	for {
		timer, stop := r.Clock.NewTimer(r.look(ctx))
		select {
		case <-ctx.Done():
			stop()
			return
		case <-news:
		case <-timer:
		}
		stop()
	}
}

// look takes what is due, and says when to look again at the latest.
func (r *Reporter) look(ctx context.Context) (wait time.Duration) {
	n, room := r.begin()
	if !room {
		return poll
	}
	rows, next, err := r.Store.Outbox.Due(ctx, bellhop.DueRequest{Server: r.Server, Now: r.Clock.Now(), N: batch, For: takeFor})
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Warn("reading the outbox", "error", err)
		}
		return poll
	}
	fresh := r.take(ctx, rows)
	if fresh == 0 {
		r.mu.Lock()
		r.calm = n
		r.mu.Unlock()
	}
	switch {
	case fresh >= batch:
		return 0
	case !next.IsZero():
		return min(poll, max(0, next.Sub(r.Clock.Now())))
	}
	return poll
}

// begin forgets the rows that were settled before the outbox is read, and says
// which look this is and whether more may be taken. A row that is settled while
// the outbox is read may be among what is read, and is not to be taken again.
func (r *Reporter) begin() (n int, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.over {
		delete(r.rows, id)
	}
	r.over = r.over[:0]
	r.looks++
	return r.looks, len(r.rows) < maxTaken
}

// take hands rows that are not under way yet to one goroutine per origin, and
// returns how many there were.
func (r *Reporter) take(ctx context.Context, rows []bellhop.OutboxRow) (fresh int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		if r.rows[row.ID] {
			continue
		}
		fresh++
		r.rows[row.ID] = true
		at := row.Ask.Origin
		queue, running := r.busy[at]
		r.busy[at] = append(queue, row)
		if !running {
			r.loop.Go(func() { r.drain(ctx, at) })
		}
	}
	return fresh
}

// drain delivers the reports of one origin, in order, until there are no more
// or ctx ends.
func (r *Reporter) drain(ctx context.Context, at bellhop.Origin) {
	for {
		r.mu.Lock()
		queue := r.busy[at]
		if len(queue) == 0 {
			delete(r.busy, at)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		s, ok := r.deliver(ctx, queue[0])
		if !ok {
			return
		}
		if queue[0].Kind == bellhop.ReportProgress && s.State == bellhop.ReportUnread { // it is of no use later
			s.State, s.Error = bellhop.ReportGivenUp, "nobody was there to be told"
		}
		r.mu.Lock()
		r.busy[at] = r.busy[at][1:]
		r.mu.Unlock()
		r.settle(s)
	}
}

// deliver tries one report. ok is false when it is not known what became of it,
// since ctx has ended.
func (r *Reporter) deliver(ctx context.Context, row bellhop.OutboxRow) (s bellhop.Settlement, ok bool) {
	s = bellhop.Settlement{ID: row.ID, Now: r.Clock.Now()}
	source := row.Ask.Origin.Source
	dest, known := r.Destinations[source]
	if !known {
		s.State = bellhop.ReportUnread
		if source != "" { // else it is meant to be found: who is told did not ask
			s.Error = "there is no source " + source + " in the configuration"
		}
		return s, true
	}
	if p, ok := dest.(Presence); ok && !p.Here(row.Ask.Origin) {
		s.State = bellhop.ReportUnread
		return s, true
	}
	report, err := r.Compose(ctx, row)
	if err == nil {
		var cancel context.CancelFunc
		each, cancel := context.WithTimeout(ctx, deliverFor)
		s.Ref, err = dest.Deliver(each, report)
		cancel()
	}
	s.Now = r.Clock.Now()
	switch {
	case err == nil:
		s.State = bellhop.ReportDelivered
	case ctx.Err() != nil:
		return s, false
	case errors.Is(err, bellhop.ErrGone):
		s.State = bellhop.ReportUnread
	case errors.Is(err, errForgotten):
		s.State, s.Error = bellhop.ReportGivenUp, err.Error()
	case s.Now.Sub(row.Created) > r.GiveUp:
		s.State, s.Error = bellhop.ReportGivenUp, err.Error()
		r.Log.Error("a report is given up", "report", row.ID, "run", row.Run, "origin", row.Ask.Origin.Source, "tries", row.Tries+1, "error", err)
		s.Tell = r.instead(ctx, row, err)
	default:
		s.State, s.Error = bellhop.ReportPending, err.Error()
		s.Due = s.Now.Add(pause(row.Tries))
		r.Log.Warn("a report could not be delivered; trying again", "report", row.ID, "run", row.Run, "in", pause(row.Tries), "error", err)
	}
	return s, true
}

// maxWhy bounds what is told of why a report was given up, in bytes.
const maxWhy = 500

// instead returns who is told that a report is given up. That it can't be said
// is no reason to try the report for ever.
func (r *Reporter) instead(ctx context.Context, row bellhop.OutboxRow, cause error) []bellhop.Ask {
	if r.Instead == nil || row.Kind == bellhop.ReportUntold || row.Kind == bellhop.ReportProgress {
		return nil
	}
	why := cause.Error()
	if len(why) > maxWhy {
		why = strings.ToValidUTF8(why[:maxWhy], "") + "..."
	}
	if r.Mask != nil {
		why = r.Mask(why)
	}
	whom, err := r.Instead(ctx, row, "the report to "+addressee(row.Ask)+" could not be delivered and was given up: "+why)
	if err != nil {
		r.Log.Error("nobody can be told that a report is given up", "report", row.ID, "run", row.Run, "error", err)
	}
	return whom
}

// addressee names whom a report is for: alice (slack:C0123).
func addressee(a bellhop.Ask) string {
	place := a.Origin.Source
	if a.Origin.Channel != "" {
		place += ":" + a.Origin.Channel
	}
	if a.Principal == "" || a.Principal == place {
		return place
	}
	return a.Principal + " (" + place + ")"
}

// pause is how long to wait after the given number of earlier failures.
func pause(tries int) time.Duration {
	return min(lastRetry, firstRetry<<min(tries, 20))
}

// errForgotten says that a report tells of a run that is not kept any more.
var errForgotten = errors.New("the run is not in the store any more")

// Compose reads what a report tells.
func (r *Reporter) Compose(ctx context.Context, row bellhop.OutboxRow) (bellhop.Report, error) {
	run, err := r.Store.Records.Run(ctx, row.Run)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return bellhop.Report{}, bellhop.Errorf(bellhop.NotFound, "run %s: %w", row.Run, errForgotten)
	}
	if err != nil {
		return bellhop.Report{}, err
	}
	rule, err := r.rule(ctx, run.Digest)
	if err != nil {
		return bellhop.Report{}, err
	}
	if r.Mask != nil {
		run = run.Masked(r.Mask)
	}
	report := bellhop.Report{ID: row.ID, Kind: row.Kind, Run: run, Rule: rule, Ask: row.Ask}
	if row.Attempt == 0 {
		return report, nil
	}
	attempts, err := r.Store.Records.Attempts(ctx, row.Run)
	if err != nil {
		return bellhop.Report{}, err
	}
	for _, a := range attempts {
		if a.N == row.Attempt {
			report.Attempt = a
		}
	}
	if r.Mask != nil {
		report.Attempt.Reason = r.Mask(report.Attempt.Reason)
	}
	return report, nil
}

// maxRules bounds how many definitions' rules are remembered.
const maxRules = 10_000

// rule returns how a definition has outcomes reported. A definition never
// changes, so each is read once.
func (r *Reporter) rule(ctx context.Context, digest string) (bellhop.ReportRule, error) {
	r.mu.Lock()
	rule, ok := r.rules[digest]
	r.mu.Unlock()
	if ok {
		return rule, nil
	}
	job, err := r.Store.Definitions.Definition(ctx, digest)
	if err != nil {
		return bellhop.ReportRule{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rules) >= maxRules { // reloaded very often: begin anew rather than grow
		clear(r.rules)
	}
	r.rules[digest] = job.Report
	return job.Report, nil
}
