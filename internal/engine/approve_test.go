package engine_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

var (
	opsAda = bellhop.Person{Identity: "ssh:ada"}
	opsBea = bellhop.Person{Identity: "ssh:bea"}
	devCy  = bellhop.Person{Identity: "ssh:cy"}
)

func approvedCatalog(change func(*bellhop.Job)) *bellhop.Catalog {
	deploy := job("site", "deploy", func(j *bellhop.Job) {
		j.Approve = &bellhop.Approve{By: []string{"ops"}, Count: 1, Within: time.Hour, When: map[string][]string{"env": {"production"}}, Notify: []string{"ada", "slack:C0123"}}
		if change != nil {
			change(j)
		}
	})
	return &bellhop.Catalog{
		Access: bellhop.Access{Peopled: true, People: []bellhop.Member{
			{Name: "ada", Identities: []string{"ssh:ada", "slack:T1/U1"}, Groups: []string{"ops"}},
			{Name: "bea", Identities: []string{"ssh:bea"}, Groups: []string{"ops"}},
			{Name: "cy", Identities: []string{"ssh:cy", "slack:T1/U3"}, Groups: []string{"dev"}},
		}},
		Services: []bellhop.Service{{Name: "site", Jobs: []bellhop.Job{deploy}, Entries: []bellhop.Entry{
			{Service: "site", Name: "e", Pattern: "deploy [env]", Action: bellhop.ActionRun, Job: "deploy"},
		}}},
	}
}

// approvals is an engine with a clock that stands, which may be restarted.
type approvals struct {
	*house
	clock *storetest.Clock
	path  string
}

func newApprovals(t *testing.T, change func(*bellhop.Job)) *approvals {
	t.Helper()
	a := &approvals{house: &house{t: t}, clock: storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)), path: filepath.Join(t.TempDir(), "bellhop.db")}
	a.open(change)
	return a
}

func (a *approvals) open(change func(*bellhop.Job)) {
	a.t.Helper()
	store, err := sqlite.Open(a.t.Context(), sqlite.Options{Path: a.path, Clock: a.clock})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = store.Admin.Close() })
	a.store, a.bus = store, &bus.Local{}
	a.Engine = engine.New(engine.Options{Store: store, Bus: a.bus, Clock: a.clock, Reach: []string{"slack"}, AuditKey: make([]byte, bellhop.AuditKeySize)})
	if err := a.Activate(a.t.Context(), approvedCatalog(change)); err != nil {
		a.t.Fatal(err)
	}
}

// asked has cy ask for production and returns the held run.
func (a *approvals) asked() bellhop.Run {
	a.t.Helper()
	got := a.run(devCy, ask("site", "deploy", "production"))
	run, err := a.store.Records.Run(a.t.Context(), got.Run)
	if err != nil || run.State != bellhop.Held || got.Approval == nil {
		a.t.Fatalf("asked for: %+v, run %+v, %v", got, run, err)
	}
	return run
}

func (a *approvals) refused(p bellhop.Person, inv bellhop.Invocation, code bellhop.Code, says string) {
	a.t.Helper()
	_, err := a.do(p, inv)
	if bellhop.CodeOf(err) != code || !strings.Contains(err.Error(), says) {
		a.t.Errorf("%v; want %s: ...%s...", err, code, says)
	}
}

func approve(run bellhop.RunID) bellhop.Invocation {
	return bellhop.Invocation{Action: bellhop.ActionApprove, Run: run}
}

func TestApproval(t *testing.T) {
	a := newApprovals(t, nil)
	if got := a.run(devCy, ask("site", "deploy", "staging")); got.Approval != nil {
		t.Error("staging waits for an approval, too")
	}
	run := a.asked()
	if n := len(a.claim(10)); n != 1 {
		t.Errorf("%d runs were claimed; the held one must not be", n)
	}
	rows, _, err := a.store.Outbox.Due(t.Context(), bellhop.DueRequest{Server: "s", Now: a.clock.Now(), N: 10, For: time.Minute})
	places := map[bellhop.Origin]bool{}
	for _, r := range rows {
		places[r.Ask.Origin] = r.Kind == bellhop.ReportApproval && r.Run == run.ID
	}
	if err != nil || len(rows) != 2 || !places[bellhop.Origin{Source: "slack", Channel: "C0123"}] || !places[bellhop.Origin{Source: "slack", Person: "slack:T1/U1"}] {
		t.Errorf("asked to decide: %+v, %v", rows, err)
	}
	a.refused(devCy, approve(run.ID), bellhop.NotAllowed, "is not for cy to decide: that is for ops")
	a.refused(bellhop.Person{Identity: "slack:T1/U9", Outside: true}, approve(run.ID), bellhop.NotAllowed, "not for slack:T1/U9 to decide")
	a.refused(bellhop.Person{Identity: "slack:T1/U1", Outside: true}, approve(run.ID), bellhop.NotAllowed, "not for slack:T1/U1")
	forged := approve(run.ID)
	forged.Digest = strings.Repeat("0", 32)
	a.refused(opsAda, forged, bellhop.NotAllowed, "is not what")
	good := approve(run.ID)
	good.Digest = run.ApprovalDigest()
	got, err := a.do(opsAda, good)
	if err != nil || got.Decided == nil || got.Decided.State != bellhop.Waiting || got.Decided.Approval.Approvers()[0] != "ada" {
		t.Fatalf("approved: %+v, %v", got.Decided, err)
	}
	a.refused(opsBea, approve(run.ID), bellhop.Conflict, "ada")
	a.refused(opsBea, bellhop.Invocation{Action: bellhop.ActionDeny, Run: run.ID}, bellhop.Conflict, "ada")
	recs, _, err := a.store.Audit.Records(t.Context(), bellhop.AuditFilter{Run: run.ID})
	if err != nil || len(recs) < 6 || recs[0].Action != "approve" || !recs[0].Allowed || recs[0].Principal != "ada" {
		t.Errorf("the trail: %+v, %v", recs, err)
	}
}

func TestApprovalByTheAsker(t *testing.T) {
	a := newApprovals(t, nil)
	id := a.run(opsAda, ask("site", "deploy", "production")).Run
	a.refused(opsAda, approve(id), bellhop.NotAllowed, "who may not approve it too")
	a.refused(bellhop.Person{Identity: "slack:T1/U1"}, approve(id), bellhop.NotAllowed, "who may not approve it too") // by her other name
	if _, err := a.do(opsBea, approve(id)); err != nil {
		t.Error(err)
	}
	self := newApprovals(t, func(j *bellhop.Job) { j.Approve.Self = true })
	if _, err := self.do(opsAda, approve(self.run(opsAda, ask("site", "deploy", "production")).Run)); err != nil {
		t.Errorf("self: true: %v", err)
	}
}

func TestApprovalSurvivesARestart(t *testing.T) {
	a := newApprovals(t, nil)
	run := a.asked()
	_ = a.store.Admin.Close()
	a.open(nil)
	got, err := a.do(opsBea, approve(run.ID))
	if err != nil || got.Decided.State != bellhop.Waiting {
		t.Errorf("after a restart: %+v, %v", got.Decided, err)
	}
}

func TestApprovalOfAChangedJob(t *testing.T) {
	a := newApprovals(t, nil)
	run := a.asked()
	if err := a.Activate(t.Context(), approvedCatalog(func(j *bellhop.Job) { j.Spec = []byte(`{"other":1}`) })); err != nil {
		t.Fatal(err)
	}
	a.refused(opsAda, approve(run.ID), bellhop.NotAllowed, "its configuration has changed since")
	if got, err := a.do(opsAda, bellhop.Invocation{Action: bellhop.ActionDeny, Run: run.ID, Reason: "old"}); err != nil || got.Decided.State != bellhop.Cancelled {
		t.Errorf("it can't be denied: %+v, %v", got.Decided, err)
	}
}

func TestApprovalThatComesTooLate(t *testing.T) {
	a := newApprovals(t, nil)
	run := a.asked()
	a.clock.Advance(time.Hour)
	a.refused(opsAda, approve(run.ID), bellhop.Conflict, "")
	if _, err := a.Lapse(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := a.store.Records.Run(t.Context(), run.ID)
	if err != nil || got.State != bellhop.Cancelled || got.Verdict != bellhop.Aborted || !strings.Contains(got.Error, "not approved in time") {
		t.Errorf("it became %+v, %v", got, err)
	}
	a.refused(opsAda, approve(run.ID), bellhop.Conflict, "")
}

func TestTwoApproversAtOnce(t *testing.T) {
	a := newApprovals(t, nil)
	run := a.asked()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, p := range []bellhop.Person{opsAda, opsBea} {
		inv := approve(run.ID)
		inv.Key, inv.Person = p.Identity, p
		wg.Go(func() { _, errs[i] = a.Do(t.Context(), inv) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || bellhop.CodeOf(errs[0]) == bellhop.Internal || bellhop.CodeOf(errs[1]) == bellhop.Internal {
		t.Errorf("%v and %v; one must win, and the other be told", errs[0], errs[1])
	}
	two := newApprovals(t, func(j *bellhop.Job) { j.Approve.Count = 2 })
	run = two.asked()
	if got, err := two.do(opsAda, approve(run.ID)); err != nil || got.Decided.State != bellhop.Held {
		t.Errorf("the first of two: %+v, %v", got.Decided, err)
	}
	two.refused(opsAda, approve(run.ID), bellhop.Conflict, "")
	if got, err := two.do(opsBea, approve(run.ID)); err != nil || got.Decided.State != bellhop.Waiting {
		t.Errorf("the second of two: %+v, %v", got.Decided, err)
	}
}

// TestAFollowingJobNeedsItsApproval: what a run brings is held like what is
// asked for.
func TestAFollowingJobNeedsItsApproval(t *testing.T) {
	a := newApprovals(t, nil)
	cat := approvedCatalog(nil)
	build := job("site", "build", func(j *bellhop.Job) { j.Then = []bellhop.Follow{{Job: "deploy", On: bellhop.FollowSuccess}} })
	cat.Services[0].Jobs = append(cat.Services[0].Jobs, build)
	cat.Services[0].Entries = append(cat.Services[0].Entries, bellhop.Entry{Service: "site", Name: "b", Pattern: "build [env]", Action: bellhop.ActionRun, Job: "build"})
	if err := a.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	inv := ask("site", "build", "production")
	inv.Entry = "b"
	a.run(devCy, inv)
	c := a.claim(1)[0]
	if err := a.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, nil); err != nil {
		t.Fatal(err)
	}
	runs, err := a.store.Records.Runs(t.Context(), bellhop.RunFilter{Job: "deploy", Service: "site"})
	if err != nil || len(runs) != 1 || runs[0].State != bellhop.Held {
		t.Errorf("what followed is %+v, %v", runs, err)
	}
}
