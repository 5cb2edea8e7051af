package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

var ctx = context.Background()

// within is a safety net, not a measure.
const within = 2 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
}

func withJob(t testing.TB, s *bellhop.Store) *bellhop.Store {
	t.Helper()
	must(t, s.Definitions.PutDefinitions(ctx, []bellhop.Definition{{Digest: benchJob().Digest(), Job: benchJob()}}))
	return s
}

func submission(key, ckey string, limit int) bellhop.Submission {
	sub := benchSubmission(benchJob().Digest(), 0, limit)
	sub.Ask.Key, sub.Run.ConcurrencyKey, sub.Run.MergeKey = key, ckey, ""
	return sub
}

func ending(r bellhop.ClaimedRun) bellhop.Ending {
	zero := 0
	return bellhop.Ending{
		Ref: bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}, Now: time.Now(), End: bellhop.EndSucceeded, ExitStatus: &zero, State: bellhop.Succeeded, Report: bellhop.ReportOutcome,
	}
}

func TestARestartOfTheDatabaseIsWeathered(t *testing.T) {
	server := pgtest.Start(t)
	var log logs
	address := strings.Replace(server.URL(t), "bellhop@", "bellhop:hunter2@", 1)
	s, err := postgres.Open(ctx, postgres.Options{URL: address, Log: log.logger()})
	must(t, err)
	t.Cleanup(func() { must(t, s.Admin.Close()) })
	withJob(t, s)
	for round, stop := range []func(){server.Stop, server.Crash} {
		before, during := fmt.Sprint("before-", round), fmt.Sprint("during-", round)
		first, err := s.Queue.Submit(ctx, []bellhop.Submission{submission(before, "k", 0)})
		must(t, err)
		stop()
		for name, call := range map[string]func() error{
			"Submit": func() error {
				_, err := s.Queue.Submit(ctx, []bellhop.Submission{submission(during, "k", 0)})
				return err
			},
			"Claim":   func() error { _, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 1, Now: time.Now()}); return err },
			"Run":     func() error { _, err := s.Records.Run(ctx, first[0].Run); return err },
			"Runs":    func() error { _, err := s.Records.Runs(ctx, bellhop.RunFilter{}); return err },
			"Ping":    func() error { return s.Admin.Ping(ctx) },
			"Extend":  func() error { _, err := s.Queue.Extend(ctx, []bellhop.LeaseRef{{Run: 1}}, time.Minute); return err },
			"PutHold": func() error { _, err := s.Holds.PutHold(ctx, during, bellhop.Hold{}); return err },
		} {
			err := call()
			if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.HasPrefix(err.Error(), "the store is unavailable: ") {
				t.Errorf("%s while the database is away: %v (%s)", name, err, bellhop.CodeOf(err))
			}
		}
		server.Start(t)
		again, err := s.Queue.Submit(ctx, []bellhop.Submission{submission(during, "k", 0), submission(before, "k", 0)})
		must(t, err)
		if again[0].How != bellhop.Created || again[1].How != bellhop.Repeated || again[1].Run != first[0].Run {
			t.Errorf("afterwards: %+v; what was submitted before was %+v", again, first)
		}
	}
	runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 9, Now: time.Now().Add(time.Second), Lease: time.Minute})
	must(t, err)
	if len(runs) != 4 {
		t.Errorf("%d runs were claimed, want 4", len(runs))
	}
	for line, want := range map[string]int{"hunter2": 0, `\n`: 0, `msg="the store is unavailable: `: 2, `msg="the store is back"`: 2, `msg="the store failed"`: 0} {
		if got := strings.Count(log.String(), line); got != want {
			t.Errorf("the log has %q %d times, want %d: %s", line, got, want, log.String())
		}
	}
}

// proxy stands between a store and its database.
type proxy struct {
	t      *testing.T
	server string // socket
	url    string
	every  int64 // the answer of each so manyth commit is lost; 0: none
	seen   atomic.Int64
	lost   atomic.Int64
	done   sync.WaitGroup
}

func newProxy(t *testing.T, server *pgtest.Server) *proxy {
	t.Helper()
	u, err := url.Parse(server.URL(t))
	must(t, err)
	dir := t.TempDir()
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	p := &proxy{t: t, server: server.Socket(), url: u.String()}
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Skipf("the path of a socket is too long here: %v", err)
	}
	p.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.done.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.done.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		// The tag of a CommandComplete. It may be split, and then it passes.
		if bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			if every := atomic.LoadInt64(&p.every); every > 0 && p.seen.Add(1)%every == 0 {
				p.lost.Add(1)
				return // it is committed, and nobody is told
			}
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestLostAnswersOfCommitsDoubleNothing: every second commit is made, and the
// connection is cut before its answer.
func TestLostAnswersOfCommitsDoubleNothing(t *testing.T) {
	p := newProxy(t, pgtest.Start(t, "fsync=off"))
	s := withJob(t, open(t, p.url, nil))
	atomic.StoreInt64(&p.every, 2)
	const all = 20
	for i := range all {
		out, err := s.Queue.Submit(ctx, []bellhop.Submission{submission(fmt.Sprint("k", i), fmt.Sprint("key", i%3), 1)})
		must(t, err)
		if out[0].How != bellhop.Created {
			t.Errorf("run %d is %s, want created", i, out[0].How)
		}
	}
	ended := map[bellhop.RunID]bool{}
	for i := 0; len(ended) < all && i < 10*all; i++ {
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 5, Now: time.Now(), Lease: time.Hour})
		must(t, err)
		for _, r := range runs {
			e := ending(r)
			errs, err := s.Outputs.AppendOutput(ctx, []bellhop.OutputBatch{{Ref: e.Ref, Chunks: []bellhop.Chunk{{Seq: 1, Channel: bellhop.Stdout, Data: []byte("four")}}}})
			must(t, errors.Join(append(errs, err)...))
			ext, err := s.Queue.Extend(ctx, []bellhop.LeaseRef{e.Ref}, time.Hour)
			must(t, err)
			if ext[0].Lost {
				t.Errorf("the lease of run %d is lost", r.Run.ID)
			}
			errs, err = s.Queue.Finish(ctx, []bellhop.Ending{e})
			must(t, errors.Join(append(errs, err)...))
			if ended[r.Run.ID] {
				t.Errorf("run %d was given out again", r.Run.ID)
			}
			ended[r.Run.ID] = true
		}
	}
	h, err := s.Holds.PutHold(ctx, "hold", bellhop.Hold{Kind: bellhop.HoldPause, Service: "bench", From: time.Now(), At: time.Now()})
	must(t, err)
	gone, err := s.Holds.EndHolds(ctx, "end", bellhop.HoldFilter{}, "bob", time.Now())
	must(t, err)
	if len(gone) != 1 || gone[0].ID != h.ID {
		t.Errorf("ended %+v, want hold %d", gone, h.ID)
	}
	out, err := s.Queue.Submit(ctx, []bellhop.Submission{submission("last", "last", 1)})
	must(t, err)
	cancelled, err := s.Queue.Cancel(ctx, bellhop.Cancellation{Key: "c", Run: out[0].Run, All: true, By: "bob", Now: time.Now()})
	must(t, err)
	if len(cancelled) != 1 || cancelled[0].Effect != bellhop.CancelDone {
		t.Errorf("cancelled %+v", cancelled)
	}
	rows, _, err := s.Outbox.Due(ctx, bellhop.DueRequest{Now: time.Now().Add(time.Minute), N: 1000})
	must(t, err)
	if len(rows) != all+1 {
		t.Errorf("there are %d reports, want %d", len(rows), all+1)
	}
	again := bellhop.Settlement{ID: rows[0].ID, State: bellhop.ReportPending, Now: time.Now(), Due: time.Now()}
	must(t, s.Outbox.Settle(ctx, []bellhop.Settlement{again}))
	must(t, s.Outbox.Settle(ctx, []bellhop.Settlement{again}))
	size, err := s.Retention.OutputSize(ctx)
	must(t, err)
	runs, err := s.Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if len(runs) != all+1 || size != 4*all {
		t.Errorf("%d runs with %d bytes of output, want %d with %d", len(runs), size, all+1, 4*all)
	}
	rows, _, err = s.Outbox.Due(ctx, bellhop.DueRequest{Now: time.Now().Add(time.Minute), N: 1000})
	must(t, err)
	for _, r := range rows {
		if r.ID == again.ID && r.Tries != 1 {
			t.Errorf("a try that was told twice counts as %d", r.Tries)
		}
	}
	if p.lost.Load() < all {
		t.Errorf("only %d answers were lost: this test shows little", p.lost.Load())
	}
}

// TestServersShareOneStore: two servers submit, claim and finish at the same
// time, while connections are cut. No limit is exceeded at any moment, every
// run ends once, and every report is there once.
func TestServersShareOneStore(t *testing.T) {
	address := pgtest.URL(t)
	stores := []*bellhop.Store{withJob(t, open(t, address, nil)), withJob(t, open(t, address, nil))}
	c := &sharing{t: t, running: map[string]int{}, ended: map[bellhop.RunID]int{}, keys: map[bellhop.RunID]string{}, until: time.Now().Add(within)}
	var work, cutter sync.WaitGroup
	stop := make(chan struct{})
	for _, s := range stores {
		for range 3 {
			work.Go(func() { c.submit(s) })
			work.Go(func() { c.work(s) })
		}
	}
	cutter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			pgtest.Exec(t, address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bellhop' AND datname = current_database() AND random() < 0.1")
		}
	})
	work.Wait()
	close(stop)
	cutter.Wait()
	rows, _, err := stores[0].Outbox.Due(ctx, bellhop.DueRequest{Now: time.Now().Add(time.Hour), N: 10 * sharedRuns})
	must(t, err)
	told := map[bellhop.RunID]int{}
	for _, r := range rows {
		told[r.Run]++
	}
	runs, err := stores[1].Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if len(runs) != sharedRuns || len(c.ended) != sharedRuns {
		t.Errorf("%d runs, of which %d were ended; want %d", len(runs), len(c.ended), sharedRuns)
	}
	for _, r := range runs {
		if r.State != bellhop.Succeeded || told[r.ID] != 1 || c.ended[r.ID] != 1 {
			t.Errorf("run %d is %s, was told of %d times and ended %d times", r.ID, r.State, told[r.ID], c.ended[r.ID])
		}
	}
}

const sharedRuns = 240

type sharing struct {
	t       *testing.T
	until   time.Time
	mu      sync.Mutex
	next    int
	running map[string]int
	keys    map[bellhop.RunID]string
	ended   map[bellhop.RunID]int
}

func (c *sharing) over() bool { return c.t.Failed() || time.Now().After(c.until) }

// often makes a call until the store is there.
func (c *sharing) often(what string, call func() error) bool {
	for !c.over() {
		err := call()
		if err == nil {
			return true
		}
		if bellhop.CodeOf(err) != bellhop.Unavailable {
			c.t.Errorf("%s: %v (%v)", what, err, errors.Unwrap(err))
			return false
		}
	}
	return false
}

// submit submits every run twice, maybe at the same time as another server.
func (c *sharing) submit(s *bellhop.Store) {
	for {
		c.mu.Lock()
		n := c.next / 2
		c.next++
		c.mu.Unlock()
		if n >= sharedRuns {
			return
		}
		key := fmt.Sprint("key", n%5)
		ok := c.often("submitting", func() error {
			out, err := s.Queue.Submit(ctx, []bellhop.Submission{submission(fmt.Sprint("run", n), key, n%5%3+1)})
			if err == nil {
				c.mu.Lock()
				c.keys[out[0].Run] = key
				c.mu.Unlock()
			}
			return err
		})
		if !ok {
			return
		}
	}
}

func (c *sharing) work(s *bellhop.Store) {
	for !c.over() {
		var runs []bellhop.ClaimedRun
		if !c.often("claiming", func() (err error) {
			runs, _, err = s.Queue.Claim(ctx, bellhop.ClaimRequest{Runner: "r", N: 4, Now: time.Now(), Lease: time.Hour})
			return err
		}) {
			return
		}
		for _, r := range runs {
			c.begin(s, r)
		}
		for _, r := range runs {
			c.end(s, r)
		}
		c.mu.Lock()
		done := len(c.ended) == sharedRuns
		c.mu.Unlock()
		if done {
			return
		}
	}
}

// keyOf finds a run's key and limit by its ask.
func (c *sharing) keyOf(s *bellhop.Store, id bellhop.RunID) (key string, limit int) {
	c.often("reading", func() error {
		asks, err := s.Records.Asks(ctx, id)
		if err == nil {
			var n int
			_, err = fmt.Sscanf(asks[0].Key, "run%d", &n)
			key, limit = fmt.Sprint("key", n%5), n%5%3+1
		}
		return err
	})
	return key, limit
}

func (c *sharing) begin(s *bellhop.Store, r bellhop.ClaimedRun) {
	key, limit := c.keyOf(s, r.Run.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[key]++
	if c.running[key] > limit || c.ended[r.Run.ID] > 0 {
		c.t.Errorf("%d of %s run at once, of at most %d; run %d had ended %d times", c.running[key], key, limit, r.Run.ID, c.ended[r.Run.ID])
	}
}

func (c *sharing) end(s *bellhop.Store, r bellhop.ClaimedRun) {
	key, _ := c.keyOf(s, r.Run.ID)
	c.mu.Lock()
	c.running[key]-- // before the store knows: another may claim at once
	c.ended[r.Run.ID]++
	c.mu.Unlock()
	c.often("finishing", func() error {
		errs, err := s.Queue.Finish(ctx, []bellhop.Ending{ending(r)})
		if err == nil && errs[0] != nil && !errors.Is(errs[0], bellhop.ErrLeaseLost) {
			err = errs[0]
		}
		return err
	})
}

// TestACrashOfTheDatabaseForgetsWhatNumbersMean: after a crash the database may
// give the number of a transaction that was not written to another one, so
// that one's fate says nothing of the other's.
func TestACrashOfTheDatabaseForgetsWhatNumbersMean(t *testing.T) {
	cluster := pgtest.Start(t)
	s := open(t, cluster.URL(t), nil)
	for _, tt := range []struct {
		name    string
		between func()
		fate    string
		noticed bool
	}{
		{"nothing happened", func() {}, "committed", false},
		{"a restart in good order", func() { cluster.Stop(); cluster.Start(t) }, "committed", false},
		{"a crash", func() { cluster.Crash(); cluster.Start(t) }, "", true},
		{"nothing more", func() {}, "committed", false},
	} {
		fate, noticed, err := postgres.FateOf(ctx, s, tt.between)
		must(t, err)
		if fate != tt.fate || noticed != tt.noticed {
			t.Errorf("%s: fate %q, a new life noticed: %v; want %q and %v", tt.name, fate, noticed, tt.fate, tt.noticed)
		}
	}
}
