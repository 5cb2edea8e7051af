package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// random makes calls at random on a store and a clock.
type random struct {
	t     *testing.T
	s     *bellhop.Store
	r     *rand.Rand
	now   time.Time
	n     int
	runs  []bellhop.ClaimedRun
	bad   bool // some calls are to fail half-way
	fails int

	recorded int // submissions with a record of the audit that were written
}

func (r *random) submission() bellhop.Submission {
	r.n++
	s := hello(fmt.Sprint("k", r.n))
	s.Now, s.Run.Start = r.now, r.now.Add(time.Duration(r.r.IntN(7)-2)*time.Second)
	s.Run.Job = fmt.Sprint("j", r.r.IntN(3))
	s.Run.ConcurrencyKey, s.Run.Concurrency = fmt.Sprint("c", r.r.IntN(4)), r.r.IntN(3)
	s.Run.Priority = r.r.IntN(3)
	if r.r.IntN(2) == 0 {
		s.Run.MergeKey = fmt.Sprint("m", r.r.IntN(9))
		s.Run.MaxDelay = time.Duration(r.r.IntN(3)) * time.Second
	}
	if r.r.IntN(2) == 0 {
		s.Run.AlikeKey, s.Run.Reject = fmt.Sprint("a", r.r.IntN(5)), r.r.IntN(2) == 0
	}
	if r.r.IntN(4) == 0 {
		s.Run.Approval = &bellhop.Approval{Count: 1 + r.r.IntN(2), Expires: r.now.Add(time.Duration(r.r.IntN(9)) * time.Second), Notify: []bellhop.Ask{{Principal: "ops"}}}
		if r.bad && r.r.IntN(5) == 0 {
			s.Run.Approval.Notify[0].Principal = "mallory"
		}
	}
	if r.r.IntN(3) == 0 {
		s.Run.Deadline = time.Duration(1+r.r.IntN(5)) * time.Second
	}
	if r.r.IntN(2) == 0 {
		s.Audit = &bellhop.AuditRecord{At: r.now, Action: "run", Principal: fmt.Sprint("p", r.r.IntN(5)), Service: "example", Job: s.Run.Job, Allowed: true}
	}
	return s
}

// spoil makes a submission fail half-way, now and then.
func (r *random) spoil(s *bellhop.Submission) {
	if r.bad && r.r.IntN(5) == 0 {
		s.Ask.Principal = "mallory"
	}
}

func (r *random) did(err error) {
	r.t.Helper()
	if err == nil {
		return
	}
	if bellhop.CodeOf(err) != bellhop.Internal || !r.bad {
		r.t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
	r.fails++
}

func (r *random) step() {
	switch q := r.s.Queue; r.r.IntN(11) {
	case 0, 1, 2:
		subs := []bellhop.Submission{r.submission(), r.submission(), r.submission()}
		r.spoil(&subs[2])
		_, err := q.Submit(ctx, subs)
		r.did(err)
		for i := range subs {
			if err == nil && subs[i].Audit != nil {
				r.recorded++
			}
		}
	case 3, 4:
		if r.bad && r.r.IntN(3) == 0 {
			sqlite.Undone(r.s, bellhop.ClaimRequest{N: 3, Now: r.now}, r.runs)
			r.fails++
		}
		runs, _, err := q.Claim(ctx, bellhop.ClaimRequest{Runner: "r", N: r.r.IntN(4), Now: r.now, Lease: time.Hour})
		r.did(err)
		r.runs = append(r.runs, runs...)
	case 5, 6:
		r.finish()
	case 7:
		_, err := q.Cancel(ctx, bellhop.Cancellation{Key: fmt.Sprint("c", r.n), Service: "example", Job: fmt.Sprint("j", r.r.IntN(3)), All: r.r.IntN(2) == 0, Principal: "alice", By: "alice", Now: r.now})
		r.did(err)
		_, _, err = q.Expire(ctx, r.now, 2, "late")
		r.did(err)
	case 8:
		r.vote()
	case 9:
		_, err := r.s.Holds.PutHold(ctx, "", bellhop.Hold{Kind: bellhop.HoldSuppress, Service: "example", Job: fmt.Sprint("j", r.r.IntN(3)), From: r.now, Until: r.now.Add(time.Second), At: r.now})
		r.did(err)
	default:
		r.now = r.now.Add(time.Duration(r.r.IntN(5)-1) * time.Second)
	}
}

// vote votes on some of what is held, and now and then gives some of it up.
func (r *random) vote() {
	held, err := r.s.Records.Runs(ctx, bellhop.RunFilter{States: []bellhop.State{bellhop.Held}})
	r.did(err)
	for _, run := range held {
		if r.r.IntN(2) == 0 {
			_, err := r.s.Approvals.Vote(ctx, bellhop.Voting{Run: run.ID, Seen: len(run.Approval.Votes), Vote: bellhop.Vote{Principal: fmt.Sprint("v", r.r.IntN(3)), Approve: r.r.IntN(4) > 0, At: r.now}})
			if bellhop.CodeOf(err) != bellhop.Conflict { // by the same one again, or too late
				r.did(err)
			}
		}
	}
	_, _, err = r.s.Approvals.Lapse(ctx, r.now, 2, "nobody approved it")
	r.did(err)
}

func (r *random) finish() {
	if len(r.runs) == 0 {
		return
	}
	c := r.runs[0]
	r.runs = r.runs[1:]
	e := bellhop.Ending{Ref: bellhop.LeaseRef{Run: c.Run.ID, Lease: c.Lease}, Now: r.now, End: bellhop.EndSucceeded, State: bellhop.Succeeded, Report: bellhop.ReportOutcome}
	if r.r.IntN(3) == 0 {
		e.End, e.State, e.Start = bellhop.EndFailed, bellhop.Waiting, r.now.Add(time.Second)
	} else if r.r.IntN(2) == 0 {
		sub := r.submission()
		e.Follow = []bellhop.RunSpec{sub.Run}
		e.Output = &bellhop.OutputBatch{Ref: e.Ref, Chunks: []bellhop.Chunk{{Seq: 1, Channel: bellhop.Stdout, Data: []byte("text")}}}
		if r.bad && r.r.IntN(2) == 0 { // after the end was written, the report fails
			e.Notify = []bellhop.Ask{{Principal: "mallory"}}
		}
	}
	_, err := r.s.Queue.Finish(ctx, []bellhop.Ending{e})
	r.did(err)
}

// TestMemoryIsWhatTheFileHas compares what the writer remembers with what it
// would read, after calls at random some of which fail half-way.
func TestMemoryIsWhatTheFileHas(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			r := &random{t: t, s: withJob(t, path), r: rand.New(rand.NewPCG(seed, 1)), now: time.Now().Truncate(time.Microsecond), bad: seed%2 == 1}
			if r.bad {
				execSQL(t, path, `CREATE TRIGGER badrun BEFORE INSERT ON run WHEN NEW.principal = (SELECT id FROM principal WHERE name = 'mallory') BEGIN SELECT RAISE(ABORT, 'bad'); END`)
				execSQL(t, path, `CREATE TRIGGER badreport BEFORE INSERT ON report WHEN NEW.principal = (SELECT id FROM principal WHERE name = 'mallory') BEGIN SELECT RAISE(ABORT, 'bad'); END`)
				execSQL(t, path, `CREATE TRIGGER baddecision BEFORE INSERT ON report WHEN NEW.kind = 4 AND abs(random()) % 4 = 0 BEGIN SELECT RAISE(ABORT, 'bad'); END`)
			}
			must(t, r.s.Audit.Begin(ctx, "one", auditKey(), r.now))
			for i := range 400 {
				r.step()
				if i%20 == 0 {
					if diff := sqlite.CheckMemory(r.s); diff != "" {
						t.Fatalf("after step %d: %s", i, diff)
					}
				}
			}
			if r.bad && r.fails < 5 {
				t.Errorf("only %d calls failed: this test shows little", r.fails)
			}
			if n, faults := verify(t, r.s); len(faults) > 0 || n != 1+r.recorded || n < 50 {
				t.Errorf("the audit has %d records, want %d, and the faults %+v", n, 1+r.recorded, faults)
			}
		})
	}
}

// TestALargeOutputIsForgottenInPieces: a claim never waits for all of it.
func TestALargeOutputIsForgottenInPieces(t *testing.T) {
	s := withJob(t, filepath.Join(t.TempDir(), "store.db"))
	submit(t, s, "k")
	runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 1, Now: time.Now().Add(time.Second), Lease: time.Hour})
	must(t, err)
	ref := bellhop.LeaseRef{Run: 1, Lease: runs[0].Lease}
	e := bellhop.Ending{Ref: ref, Now: time.Now(), End: bellhop.EndSucceeded, State: bellhop.Succeeded, Output: &bellhop.OutputBatch{Ref: ref}}
	for i := range int64(100) {
		e.Output.Chunks = append(e.Output.Chunks, bellhop.Chunk{Seq: i + 1, Channel: bellhop.Stdout, Offset: i << 16, Data: make([]byte, 1<<16)})
	}
	_, err = s.Queue.Finish(ctx, []bellhop.Ending{e})
	must(t, err)
	turns := sqlite.Turns(s)
	n, err := s.Retention.Forget(ctx, nil, []bellhop.RunID{1})
	must(t, err)
	if turns = sqlite.Turns(s) - turns; n != 1 || turns < 6 {
		t.Errorf("%d runs were changed in %d turns of the writer", n, turns)
	}
	if diff := sqlite.CheckMemory(s); diff != "" {
		t.Error(diff)
	}
	chunks, err := s.Outputs.Output(ctx, 1, 0, 0, 1)
	must(t, err)
	run, err := s.Records.Run(ctx, 1)
	must(t, err)
	size, err := s.Retention.OutputSize(ctx)
	must(t, err)
	if len(chunks) != 0 || !run.OutputForgotten || size != 0 {
		t.Errorf("%d chunks are left, forgotten: %v, size %d", len(chunks), run.OutputForgotten, size)
	}
}

// TestTimesAreExactAfterARestart has clocks that go back for hours, before and
// after a restart: lists by time have no index of their own (list.go).
func TestTimesAreExactAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	start := time.Now().Truncate(time.Second)
	at := func(s *bellhop.Store, i int, d time.Duration) {
		sub := hello(fmt.Sprint("k", i))
		sub.Now = start.Add(d)
		_, err := s.Queue.Submit(ctx, []bellhop.Submission{sub})
		must(t, err)
	}
	at(s, 1, 0)
	for i := range 4 {
		at(s, 2+i, 10*time.Hour)
	}
	at(s, 6, time.Hour) // a little less than 2^15 seconds back
	must(t, s.Admin.Close())
	s = open(t, path, nil)
	at(s, 7, 30*time.Minute) // a little more
	for _, c := range []struct {
		since, until time.Duration
		want         string
	}{
		{0, 11 * time.Hour, "[7 6 5 4 3 2 1]"}, {30 * time.Minute, 40 * time.Minute, "[7]"}, {time.Hour, 2 * time.Hour, "[6]"},
		{10 * time.Hour, 11 * time.Hour, "[5 4 3 2]"}, {-time.Hour, 0, "[]"}, {11 * time.Hour, 12 * time.Hour, "[]"},
	} {
		runs, err := s.Records.Runs(ctx, bellhop.RunFilter{Since: start.Add(c.since), Until: start.Add(c.until)})
		must(t, err)
		ids := []int{}
		for _, r := range runs {
			ids = append(ids, int(r.ID))
		}
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("from %v until %v: %s, want %s", c.since, c.until, got, c.want)
		}
	}
}
