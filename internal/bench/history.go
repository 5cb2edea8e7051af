package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// fillBatch is how many runs of the history are written at a time.
	fillBatch = 1000
	// fillAhead is how many batches may wait to be claimed: the queue of a
	// server is short.
	fillAhead = 4
	// claims is how many single claims are timed.
	claims = 1000
)

// history times claims on the empty store, fills it with finished runs, and
// times claims again.
func (h *house) history(ctx context.Context) error {
	n := h.o.History
	if n == 0 {
		return nil
	}
	if err := h.claims(ctx, "no history"); err != nil {
		return err
	}
	h.tell("history: %d finished runs", n)
	took, err := h.fill(ctx, n)
	if err != nil {
		return err
	}
	err = h.print(Line{Shape: "history", N: n, Rate: perSecond(n, took), Note: "submitted, claimed and finished through the store's own port in batches, without reports"})
	if err != nil {
		return err
	}
	return h.claims(ctx, fmt.Sprintf("%d finished runs", n))
}

// claims times claims of one run each through the engine, from a queue that is
// never empty.
func (h *house) claims(ctx context.Context, note string) error {
	if _, err := h.askMany(ctx, jobNothing, claims, fillers); err != nil {
		return err
	}
	took := make([]time.Duration, 0, claims)
	var all time.Duration
	for range claims {
		begin := time.Now()
		got, _, err := h.engine.Claim(ctx, "bench", 1)
		each := time.Since(begin)
		if err != nil {
			return err
		}
		if len(got) != 1 {
			return bellhop.Errorf(bellhop.Internal, "%d runs were claimed where one was to be", len(got))
		}
		took, all = append(took, each), all+each
		ref := bellhop.LeaseRef{Run: got[0].Task.Run, Lease: got[0].Task.Lease}
		if err := h.engine.Finish(ctx, ref, bellhop.Outcome{End: bellhop.EndSucceeded}, nil); err != nil {
			return err
		}
	}
	l := Line{Shape: "claim", N: claims, Rate: perSecond(claims, all), Note: "one run a claim, one after the other; " + note}
	l.spread(took)
	return h.print(l)
}

// fill writes finished runs in large batches through the store's port: the
// same rows as the engine would, at fewer commits.
func (h *house) fill(ctx context.Context, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &filler{house: h, n: n, digest: job(jobNothing, "nothing", []byte(`{}`)).Digest(), ready: make(chan int, fillAhead), begin: time.Now()}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(f.ready)
		if err := f.submit(ctx); err != nil {
			cancel(err)
		}
	})
	for range 2 {
		wg.Go(func() {
			if err := f.finish(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return time.Since(f.begin), context.Cause(ctx)
}

// filler fills the history.
type filler struct {
	*house
	n      int
	digest string
	ready  chan int // so many runs were submitted
	begin  time.Time
	done   atomic.Int64
}

// submit writes runs that wait.
func (f *filler) submit(ctx context.Context) error {
	for from := 0; from < f.n; from += fillBatch {
		subs := make([]bellhop.Submission, min(fillBatch, f.n-from))
		now := time.Now()
		for i := range subs {
			name := fmt.Sprintf("bob-%d", from+i)
			subs[i] = bellhop.Submission{
				Now: now,
				Run: bellhop.RunSpec{
					Service: service, Job: jobNothing, Digest: f.digest, Args: bellhop.Args{"name": bellhop.Text(name)}, Start: now,
					ConcurrencyKey: service + "/" + jobNothing, Priority: bellhop.DefaultPriority,
				},
				Ask: bellhop.Ask{
					Principal: "bench", Identity: "local:bench", Key: fmt.Sprintf("bench:T0/H0/%012d", from+i), At: now,
					Origin: bellhop.Origin{Source: "bench", Channel: "C0", Person: "local:bench"},
				},
			}
		}
		if _, err := f.place.Store.Queue.Submit(ctx, subs); err != nil {
			return err
		}
		select {
		case f.ready <- len(subs):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// finish claims and ends what was submitted.
func (f *filler) finish(ctx context.Context) error {
	for left := range f.ready {
		for left > 0 {
			now := time.Now()
			runs, _, err := f.place.Store.Queue.Claim(ctx, bellhop.ClaimRequest{Runner: "bench", N: left, Now: now, Lease: 10 * time.Minute})
			if err != nil {
				return err
			}
			if len(runs) == 0 { // the other one has them locked for the moment
				if err := pause(ctx, 5*time.Millisecond); err != nil {
					return err
				}
				continue
			}
			if err := f.end(ctx, runs, now); err != nil {
				return err
			}
			left -= len(runs)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *filler) end(ctx context.Context, runs []bellhop.ClaimedRun, now time.Time) error {
	zero := 0
	ends := make([]bellhop.Ending, len(runs))
	for i, r := range runs {
		ends[i] = bellhop.Ending{
			Ref: bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}, Now: now, End: bellhop.EndSucceeded, ExitStatus: &zero,
			State: bellhop.Succeeded, Verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Success },
		}
	}
	errs, err := f.place.Store.Queue.Finish(ctx, ends)
	if err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	const step = 500_000
	if done := f.done.Add(int64(len(ends))); done/step != (done-int64(len(ends)))/step {
		f.tell("history: %d of %d after %s", done, f.n, time.Since(f.begin).Round(time.Second))
	}
	return nil
}
