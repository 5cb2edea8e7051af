// Package reporter takes reports out of the outbox and has them delivered to
// their origins, again and again until they are, or are given up visibly.
package reporter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// poll is how often the outbox is looked at without a hint.
	poll = time.Second
	// batch is how many reports are taken at a time.
	batch = 64
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
	Clock        bellhop.Clock
	Log          *slog.Logger
	GiveUp       time.Duration // how old a report may become; 0 = 24 h
}

// Reporter delivers reports. Those of one origin are delivered in order.
type Reporter struct {
	Options
	cancel context.CancelFunc
	loop   sync.WaitGroup

	mu   sync.Mutex
	busy map[bellhop.Origin][]bellhop.OutboxRow // being delivered, and behind it
	rows map[int64]bool                         // taken, and not known to be settled at the last look
	over []int64                                // among them, settled since
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
	return &Reporter{Options: o, busy: make(map[bellhop.Origin][]bellhop.OutboxRow), rows: make(map[int64]bool)}
}

// Start begins to deliver.
func (r *Reporter) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.loop.Go(func() { r.run(ctx) })
	return nil
}

// Stop ends what is under way; what was not delivered stays in the outbox. It
// may be called twice.
func (r *Reporter) Stop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.loop.Wait()
}

// Flush returns when every report that is due has been tried, or after d.
func (r *Reporter) Flush(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	r.Bus.Publish(bellhop.TopicOutbox)
	for {
		rows, _, err := r.Store.Outbox.Due(ctx, bellhop.DueRequest{Now: r.Clock.Now(), N: 1})
		if err != nil || len(rows) == 0 {
			return
		}
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
		wait := poll
		taken := r.look()
		rows, next, err := r.Store.Outbox.Due(ctx, bellhop.DueRequest{Now: r.Clock.Now(), N: batch + taken})
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("reading the outbox", "error", err)
		}
		fresh := r.take(ctx, rows)
		switch {
		case fresh >= batch:
			wait = 0
		case !next.IsZero():
			wait = min(wait, max(0, next.Sub(r.Clock.Now())))
		}
		timer, stop := r.Clock.NewTimer(wait)
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

// look forgets the rows that were settled before the outbox is read, and
// returns how many are taken. One that is settled while it is read may be among
// what is read, and is not to be taken again.
func (r *Reporter) look() (taken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.over {
		delete(r.rows, id)
	}
	r.over = nil
	return len(r.rows)
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

// drain delivers the reports of one origin, in order, until there are no more.
func (r *Reporter) drain(ctx context.Context, at bellhop.Origin) {
	for {
		r.mu.Lock()
		queue := r.busy[at]
		if len(queue) == 0 {
			delete(r.busy, at)
			r.mu.Unlock()
			return
		}
		row := queue[0]
		r.busy[at] = queue[1:]
		r.mu.Unlock()

		if s, ok := r.deliver(ctx, row); ok {
			r.settle(ctx, s)
		}
		r.mu.Lock()
		r.over = append(r.over, row.ID)
		r.mu.Unlock()
	}
}

// settle writes down what became of a report, again and again until it is
// written or ctx ends: what was told must not be told again. So the first time
// is even when ctx has ended.
func (r *Reporter) settle(ctx context.Context, s bellhop.Settlement) {
	for tries := 0; ; tries++ {
		err := r.Store.Outbox.Settle(context.WithoutCancel(ctx), []bellhop.Settlement{s})
		if err == nil {
			return
		}
		r.Log.Warn("what became of a report could not be written", "report", s.ID, "state", s.State, "again in", pause(tries), "error", err)
		timer, stop := r.Clock.NewTimer(pause(tries))
		select {
		case <-ctx.Done():
			stop()
			return
		case <-timer:
		}
		stop()
	}
}

// deliver tries one report. ok is false when nothing is to be written.
func (r *Reporter) deliver(ctx context.Context, row bellhop.OutboxRow) (s bellhop.Settlement, ok bool) {
	s = bellhop.Settlement{ID: row.ID, Now: r.Clock.Now()}
	dest, known := r.Destinations[row.Ask.Origin.Source]
	if !known {
		s.State, s.Error = bellhop.ReportUnread, "there is no source "+row.Ask.Origin.Source+" in the configuration"
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
	case s.Now.Sub(row.Created) > r.GiveUp:
		s.State, s.Error = bellhop.ReportGivenUp, err.Error()
		r.Log.Error("a report is given up", "report", row.ID, "run", row.Run, "origin", row.Ask.Origin.Source, "tries", row.Tries+1, "error", err)
	default:
		s.State, s.Error = bellhop.ReportPending, err.Error()
		s.Due = s.Now.Add(pause(row.Tries))
		r.Log.Warn("a report could not be delivered; trying again", "report", row.ID, "run", row.Run, "in", pause(row.Tries), "error", err)
	}
	return s, true
}

// pause is how long to wait after the given number of earlier failures.
func pause(tries int) time.Duration {
	return min(lastRetry, firstRetry<<min(tries, 20))
}

// Compose reads what a report tells.
func (r *Reporter) Compose(ctx context.Context, row bellhop.OutboxRow) (bellhop.Report, error) {
	run, err := r.Store.Records.Run(ctx, row.Run)
	if err != nil {
		return bellhop.Report{}, err
	}
	job, err := r.Store.Definitions.Definition(ctx, run.Digest)
	if err != nil {
		return bellhop.Report{}, err
	}
	report := bellhop.Report{ID: row.ID, Kind: row.Kind, Run: run, Rule: job.Report, Ask: row.Ask}
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
	return report, nil
}
