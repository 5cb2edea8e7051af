package reporter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/reporter"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// destination fails as often as a test says, and remembers what it was given.
type destination struct {
	mu    sync.Mutex
	fail  map[bellhop.RunID][]error // one a delivery
	whole []bellhop.Report          // what was delivered
	block chan struct{}             // when set, deliveries wait for it
	got   []string                  // "channel run" of what was delivered
	tries []time.Time
}

func (d *destination) Deliver(ctx context.Context, r bellhop.Report) (string, error) {
	if d.block != nil {
		select {
		case <-d.block:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries = append(d.tries, time.Now())
	if left := d.fail[r.Run.ID]; len(left) > 0 {
		d.fail[r.Run.ID] = left[1:]
		return "", left[0]
	}
	d.whole = append(d.whole, r)
	d.got = append(d.got, fmt.Sprintf("%s %d %s", r.Ask.Origin.Channel, r.Run.ID, r.Run.State))
	return "ref", nil
}

type fixture struct {
	t     *testing.T
	store *bellhop.Store
	bus   *bus.Local
	dest  *destination
	rep   *reporter.Reporter
}

// start opens a store with runs that have ended, one for each channel named,
// and begins to deliver.
func start(t *testing.T, dest *destination, channels ...string) *fixture {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	job := bellhop.Job{Service: "s", Name: "j", Executor: "test", Spec: json.RawMessage(`{}`)}
	if err := store.Definitions.PutDefinitions(t.Context(), []bellhop.Definition{{Digest: job.Digest(), Job: job}}); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, store: store, bus: &bus.Local{}, dest: dest}
	for i, channel := range channels {
		f.end(job, i, channel)
	}
	f.rep = reporter.New(reporter.Options{Store: store, Bus: f.bus, GiveUp: 10 * time.Minute, Destinations: map[string]bellhop.Destination{"chat": dest}})
	if err := f.rep.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) end(job bellhop.Job, i int, channel string) {
	f.t.Helper()
	now := time.Now()
	source := "chat"
	if channel == "unknown" {
		source = "gone"
	}
	subs, err := f.store.Queue.Submit(f.t.Context(), []bellhop.Submission{{
		Run: bellhop.RunSpec{Service: "s", Job: "j", Digest: job.Digest(), Start: now, ConcurrencyKey: "s/j"},
		Ask: bellhop.Ask{Principal: "alice", Identity: "chat:alice", Key: fmt.Sprint(i), Origin: bellhop.Origin{Source: source, Channel: channel, Session: "s" + channel}, At: now},
		Now: now,
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	runs, _, err := f.store.Queue.Claim(f.t.Context(), bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Minute})
	if err != nil || len(runs) != 1 {
		f.t.Fatal(runs, err)
	}
	errs, err := f.store.Queue.Finish(f.t.Context(), []bellhop.Ending{{
		Ref: bellhop.LeaseRef{Run: subs[0].Run, Lease: runs[0].Lease}, Now: now, End: bellhop.EndSucceeded, State: bellhop.Succeeded, Report: bellhop.ReportOutcome,
		Verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Success },
	}})
	if err != nil || errs[0] != nil {
		f.t.Fatal(errs, err)
	}
}

func (f *fixture) stop() {
	f.rep.Stop()
	f.rep.Stop() // twice is fine
	if err := f.store.Admin.Close(); err != nil {
		f.t.Error(err)
	}
}

func (f *fixture) delivered() []string {
	f.dest.mu.Lock()
	defer f.dest.mu.Unlock()
	return slices.Clone(f.dest.got)
}

func (f *fixture) unread(session string) int {
	f.t.Helper()
	rows, err := f.store.Outbox.Unread(f.t.Context(), "", session, 10)
	if err != nil {
		f.t.Fatal(err)
	}
	return len(rows)
}

func TestDeliversUntilDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("the chat is down")
		dest := &destination{fail: map[bellhop.RunID][]error{1: {down, down, down}}}
		f := start(t, dest, "a", "b")
		defer f.stop()
		time.Sleep(time.Minute)
		if got := f.delivered(); !slices.Equal(got, []string{"b 2 succeeded", "a 1 succeeded"}) {
			t.Errorf("delivered %q", got)
		}
		// After 1, 2 and 4 seconds.
		if span := dest.tries[len(dest.tries)-1].Sub(dest.tries[0]); span < 7*time.Second || span > 11*time.Second {
			t.Errorf("the tries span %s", span)
		}
		if n := len(dest.tries); n != 5 {
			t.Errorf("%d tries, want 5", n)
		}
	})
}

// TestOthersAreToldWhatIsGivenUp: who is told is asked once, and what can't be
// told to them either makes no further report.
func TestOthersAreToldWhatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{fail: map[bellhop.RunID][]error{1: slices.Repeat([]error{errors.New("no such channel hunter2x")}, 1000)}}
		f := start(t, dest)
		defer f.stop()
		var asked []string
		f.rep.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2x", "***") }
		f.rep.Instead = func(_ context.Context, row bellhop.OutboxRow, why string) ([]bellhop.Ask, error) {
			asked = append(asked, why)
			return []bellhop.Ask{
				{Principal: "carol", Identity: "carol", Note: why},
				{Principal: "chat:x", Identity: "chat:x", Origin: bellhop.Origin{Source: "chat", Channel: "x"}, Note: why},
			}, nil
		}
		f.end(bellhop.Job{Service: "s", Name: "j", Executor: "test", Spec: json.RawMessage(`{}`)}, 0, "a")
		time.Sleep(2 * time.Hour)
		want := "the report to alice (chat:a) could not be delivered and was given up: no such channel ***"
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("asked who is told of %q", asked)
		}
		rows, err := f.store.Outbox.Unread(t.Context(), "carol", "", 10)
		if err != nil || len(rows) != 1 || rows[0].Kind != bellhop.ReportUntold || rows[0].Ask.Note != want {
			t.Errorf("carol has unread %+v, %v", rows, err)
		}
	})
}

// TestAnApprovalIsAskedForAndItsEndIsTold: the reports of held runs have the
// approval with them, and who has no address finds theirs unread.
func TestAnApprovalIsAskedForAndItsEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{}
		f := start(t, dest)
		defer f.stop()
		now, job := time.Now(), bellhop.Job{Service: "s", Name: "j", Executor: "test", Spec: json.RawMessage(`{}`)}
		a := &bellhop.Approval{By: []string{"ops"}, Count: 1, Expires: now.Add(time.Hour), Notify: []bellhop.Ask{
			{Principal: "ops", Origin: bellhop.Origin{Source: "chat", Channel: "ops"}}, {Principal: "boss"},
		}}
		_, err := f.store.Queue.Submit(t.Context(), []bellhop.Submission{{
			Run: bellhop.RunSpec{Service: "s", Job: "j", Digest: job.Digest(), Start: now, Approval: a},
			Ask: bellhop.Ask{Principal: "alice", Key: "k", Origin: bellhop.Origin{Source: "chat", Channel: "a"}}, Now: now,
		}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, err = f.store.Approvals.Vote(t.Context(), bellhop.Voting{Key: "v", Run: 1, Vote: bellhop.Vote{Principal: "bob", Approve: true, At: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		dest.mu.Lock()
		defer dest.mu.Unlock()
		var told []string
		for _, r := range dest.whole {
			told = append(told, fmt.Sprintf("%s %s %s %d %v", r.Ask.Origin.Channel, r.Kind, r.Run.State, r.Ask.N, r.Run.Approval.Approvers()))
		}
		slices.Sort(told)
		if want := []string{"a decided waiting 0 [bob]", "ops approval held -1 []", "ops decided waiting -1 [bob]"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if rows, err := f.store.Outbox.Unread(t.Context(), "boss", "", 9); err != nil || len(rows) != 2 {
			t.Errorf("unread are %+v, %v", rows, err)
		}
	})
}

func TestAGoneOriginIsLeftUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &destination{fail: map[bellhop.RunID][]error{1: {fmt.Errorf("closed: %w", bellhop.ErrGone)}}}, "a", "unknown")
		defer f.stop()
		time.Sleep(time.Minute)
		if got := f.delivered(); len(got) != 0 {
			t.Errorf("delivered %q", got)
		}
		for _, session := range []string{"sa", "sunknown"} {
			if n := f.unread(session); n != 1 {
				t.Errorf("%d reports of session %s are unread, want 1", n, session)
			}
		}
	})
}

// TestProgressIsNotKeptForLater: whoever is not there is not told of it when
// they come.
func TestProgressIsNotKeptForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &destination{fail: map[bellhop.RunID][]error{1: {bellhop.ErrGone}}})
		defer f.stop()
		now := time.Now()
		origin := bellhop.Origin{Source: "chat", Channel: "a", Session: "sa"}
		job := bellhop.Job{Service: "s", Name: "j", Executor: "test", Spec: json.RawMessage(`{}`)}
		_, err := f.store.Queue.Submit(t.Context(), []bellhop.Submission{{Now: now, Ask: bellhop.Ask{Principal: "alice", Key: "k", Origin: origin, At: now},
			Run: bellhop.RunSpec{Service: "s", Job: "j", Digest: job.Digest(), Start: now, ConcurrencyKey: "s/j"}}})
		if err != nil {
			t.Fatal(err)
		}
		runs, _, err := f.store.Queue.Claim(t.Context(), bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Minute})
		if err != nil || len(runs) != 1 {
			t.Fatal(runs, err)
		}
		ref := bellhop.LeaseRef{Run: runs[0].Run.ID, Lease: runs[0].Lease}
		if err := f.store.Outbox.Tell(t.Context(), ref, bellhop.ReportProgress, []bellhop.Ask{{Principal: "alice", Origin: origin, At: now, Note: "half"}}, now); err != nil {
			t.Fatal(err)
		}
		f.bus.Publish(bellhop.TopicOutbox)
		time.Sleep(time.Minute)
		if n := f.unread("sa"); n != 0 {
			t.Errorf("%d are unread", n)
		}
	})
}

func TestGivesUpVisibly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail []error
		for range 1000 {
			fail = append(fail, errors.New("archived"))
		}
		dest := &destination{fail: map[bellhop.RunID][]error{1: fail}}
		f := start(t, dest, "a")
		defer f.stop()
		time.Sleep(16 * time.Minute)
		dest.mu.Lock()
		n := len(dest.tries)
		dest.mu.Unlock()
		if n < 9 || n > 12 { // after 1, 2, 4 ... 256, 300 s
			t.Errorf("%d tries in ten minutes and a little", n)
		}
		time.Sleep(15 * time.Minute)
		dest.mu.Lock()
		defer dest.mu.Unlock()
		if more := len(dest.tries) - n; more != 0 {
			t.Errorf("%d tries after it was given up", more)
		}
	})
}

func TestASlowOriginHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &destination{block: make(chan struct{})}
		f := start(t, slow, "a", "a", "b")
		defer f.stop()
		quick := &destination{}
		f.rep.Stop()
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": route{"a": slow, "b": quick}}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		quick.mu.Lock()
		if len(quick.got) != 1 {
			t.Errorf("b got %q while a is slow", quick.got)
		}
		quick.mu.Unlock()
		close(slow.block)
		time.Sleep(time.Second)
		if got := f.delivered(); !slices.Equal(got, []string{"a 1 succeeded", "a 2 succeeded"}) {
			t.Errorf("a got %q, want both in order", got)
		}
	})
}

// route sends each channel elsewhere.
type route map[string]*destination

func (r route) Deliver(ctx context.Context, rep bellhop.Report) (string, error) {
	return r[rep.Ask.Origin.Channel].Deliver(ctx, rep)
}

func TestStopLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{block: make(chan struct{})}
		f := start(t, dest, "a")
		time.Sleep(time.Second)
		f.rep.Stop()
		close(dest.block)
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": dest}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer f.stop()
		time.Sleep(time.Second)
		if got := f.delivered(); !slices.Equal(got, []string{"a 1 succeeded"}) {
			t.Errorf("delivered %q", got)
		}
	})
}

// lateOutbox is an outbox that gives the same rows again, as when they were
// taken for too short a time.
type lateOutbox struct {
	bellhop.Outbox
	held  func()
	looks int
	rows  []bellhop.OutboxRow
}

func (o *lateOutbox) Due(ctx context.Context, d bellhop.DueRequest) ([]bellhop.OutboxRow, time.Time, error) {
	rows, next, err := o.Outbox.Due(ctx, d)
	if o.looks++; o.looks == 1 {
		o.rows = rows
	}
	if o.looks == 2 {
		rows = o.rows
		o.held()
	}
	return rows, next, err
}

func TestWhatIsSettledWhileTheOutboxIsReadIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{block: make(chan struct{})}
		f := start(t, dest, "a")
		defer f.stop()
		time.Sleep(time.Second)
		f.rep.Stop()
		f.store.Outbox = &lateOutbox{Outbox: f.store.Outbox, held: func() { // read as pending, and settled before this returns
			close(dest.block)
			time.Sleep(time.Second)
		}}
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": dest}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := f.delivered(); len(got) != 1 {
			t.Errorf("delivered %q, want it once", got)
		}
	})
}

// last is a destination that has a report just when it is told to stop.
type last struct{}

func (last) Deliver(ctx context.Context, _ bellhop.Report) (string, error) {
	<-ctx.Done()
	return "ref", nil
}

func TestWhatIsDeliveredAtTheLastMomentIsNotToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &destination{block: make(chan struct{})}, "a")
		defer f.stop()
		time.Sleep(time.Second)
		f.rep.Stop()
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": last{}}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		f.rep.Stop()
		if n := f.unread("sa"); n != 0 {
			t.Error("a report that was delivered while the reporter stopped will be told again")
		}
	})
}

// fullOutbox is an outbox on a disk that is full for a while.
type fullOutbox struct {
	bellhop.Outbox
	until time.Time
}

func (o fullOutbox) Settle(ctx context.Context, s []bellhop.Settlement) error {
	if time.Now().Before(o.until) {
		return bellhop.Errorf(bellhop.Unavailable, "the disk is full")
	}
	return o.Outbox.Settle(ctx, s)
}

func TestAFullDiskTellsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{block: make(chan struct{})}
		f := start(t, dest, "a")
		defer f.stop()
		f.rep.Stop()
		close(dest.block)
		f.store.Outbox = fullOutbox{f.store.Outbox, time.Now().Add(time.Minute)}
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": dest}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if got := f.delivered(); len(got) != 1 {
			t.Errorf("delivered %d times, want once", len(got))
		}
		if n := f.unread("sa"); n != 0 {
			t.Error("what was delivered is not written off once there is room")
		}
	})
}

func TestADeliveryThatHangsIsGivenUpAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &destination{block: make(chan struct{})} // forever, were it not for the delivery's own deadline
		f := start(t, dest, "a")
		defer f.stop()
		time.Sleep(2 * time.Minute)
		rows, err := f.store.Outbox.Unread(t.Context(), "", "sa", 10)
		if err != nil || len(rows) != 1 || rows[0].Tries == 0 {
			t.Errorf("%+v, %v; want it tried and pending", rows, err)
		}
	})
}

func TestManyReportsOfASlowOriginHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var channels []string
		for range 200 { // several batches
			channels = append(channels, "a")
		}
		slow := &destination{block: make(chan struct{})}
		f := start(t, slow, append(channels, "b")...)
		defer f.stop()
		f.rep.Stop()
		quick := &destination{}
		f.rep = reporter.New(reporter.Options{Store: f.store, Bus: f.bus, Destinations: map[string]bellhop.Destination{"chat": route{"a": slow, "b": quick}}})
		if err := f.rep.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		quick.mu.Lock()
		defer quick.mu.Unlock()
		if len(quick.got) != 1 {
			t.Errorf("b got %q while a is slow", quick.got)
		}
	})
}
