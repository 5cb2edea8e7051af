package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// crowd is many submitters, claimers and finishers at once, and what they saw.
type crowd struct {
	f         *fixture
	mu        sync.Mutex
	running   map[string]int // by key
	claims    map[bellhop.RunID]int
	ended     map[bellhop.RunID]bool
	submitted int
}

const (
	crowdRuns = 400
	crowdKeys = 7
)

func concurrencyTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Concurrency/EveryRunOnceAndNoLimitExceeded": func(f *fixture) {
			c := &crowd{f: f, running: map[string]int{}, claims: map[bellhop.RunID]int{}, ended: map[bellhop.RunID]bool{}}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() { c.submit(w) })
			}
			for w := range 6 {
				wg.Go(func() { c.work(w) })
			}
			wg.Wait()
			f.same("ended", len(c.ended), c.submitted)
			runs, err := f.s.Records.Runs(f.ctx, bellhop.RunFilter{})
			f.must(err)
			f.same("runs", len(runs), c.submitted)
			for _, r := range runs {
				if r.State != bellhop.Succeeded || r.Attempt != c.claims[r.ID] {
					f.Fatalf("run %d is %s after attempt %d of %d", r.ID, r.State, r.Attempt, c.claims[r.ID])
				}
			}
			f.same("reports", len(f.due()), min(c.submitted, 1000))
		},
	}
}

// submit writes its share of the runs, each twice under the same key.
func (c *crowd) submit(w int) {
	for i := range crowdRuns / 8 {
		n := w*1000 + i
		sub := bellhop.Submission{
			Now: c.f.now(),
			Run: bellhop.RunSpec{
				Service: "example", Job: "hello", Digest: Job().Digest(), Start: c.f.now(),
				ConcurrencyKey: fmt.Sprint("key-", n%crowdKeys), Concurrency: n%crowdKeys%3 + 1,
			},
			Ask: bellhop.Ask{Principal: "alice", Identity: "ssh:alice", Key: fmt.Sprint("crowd:", n)},
		}
		out, err := c.f.s.Queue.Submit(c.f.ctx, []bellhop.Submission{sub, sub})
		if err != nil || out[0].How != bellhop.Created || out[1].How != bellhop.Repeated {
			c.f.Errorf("submitting %d: %+v, %v", n, out, err)
			return
		}
		c.mu.Lock()
		c.submitted++
		c.mu.Unlock()
	}
}

// work claims and ends runs until all are ended. Every fifth first attempt
// crashes; every ending is tried a second time under the same lease.
func (c *crowd) work(w int) {
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) && !c.f.Failed() {
		runs, _, err := c.f.s.Queue.Claim(c.f.ctx, bellhop.ClaimRequest{Runner: fmt.Sprint("runner-", w), N: 5, Now: c.f.now(), Lease: time.Hour})
		if err != nil {
			c.f.Errorf("claiming: %v", err)
			return
		}
		for _, r := range runs {
			c.begin(r)
		}
		for _, r := range runs {
			c.end(r)
		}
		c.mu.Lock()
		done := c.submitted == crowdRuns/8*8 && len(c.ended) == c.submitted
		c.mu.Unlock()
		if done {
			return
		}
	}
	c.f.Error("not all runs ended within a minute")
}

// keyOf finds a run's key and limit by its ask, which names its number.
func (c *crowd) keyOf(id bellhop.RunID) (string, int, error) {
	asks, err := c.f.s.Records.Asks(c.f.ctx, id)
	if err != nil {
		return "", 0, err
	}
	var n int
	_, err = fmt.Sscanf(asks[0].Key, "crowd:%d", &n)
	return fmt.Sprint("key-", n%crowdKeys), n%crowdKeys%3 + 1, err
}

func (c *crowd) begin(r bellhop.ClaimedRun) {
	key, limit, err := c.keyOf(r.Run.ID)
	if err != nil {
		c.f.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims[r.Run.ID]++
	c.running[key]++
	if c.running[key] > limit {
		c.f.Errorf("%d runs of %s at once; its limit is %d", c.running[key], key, limit)
	}
	if c.ended[r.Run.ID] {
		c.f.Errorf("run %d was claimed after it had ended", r.Run.ID)
	}
}

func (c *crowd) end(r bellhop.ClaimedRun) {
	key, _, err := c.keyOf(r.Run.ID)
	if err != nil {
		c.f.Error(err)
		return
	}
	e := c.f.ending(ref(r))
	c.mu.Lock()
	crash := r.Run.ID%5 == 0 && c.claims[r.Run.ID] == 1
	if crash {
		e = c.f.again(ref(r), bellhop.EndCrashed, 0)
	} else {
		c.ended[r.Run.ID] = true
	}
	c.running[key]-- // before the store knows: another may claim at once
	c.mu.Unlock()
	for i, want := range []error{nil, bellhop.ErrLeaseLost} {
		errs, err := c.f.s.Queue.Finish(c.f.ctx, []bellhop.Ending{e})
		if err != nil || errs[0] != want {
			c.f.Errorf("ending run %d, time %d: %v, %v", r.Run.ID, i+1, errs, err)
		}
	}
}
