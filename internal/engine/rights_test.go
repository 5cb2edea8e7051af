package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// activate makes a configuration the active one, with what is changed in it.
func (a *approvals) activate(change func(*bellhop.Catalog)) {
	a.t.Helper()
	cat := approvedCatalog(nil)
	change(cat)
	if err := a.Activate(a.t.Context(), cat); err != nil {
		a.t.Fatal(err)
	}
}

// last is the newest record of the trail.
func (a *approvals) last() bellhop.AuditRecord {
	a.t.Helper()
	recs, _, err := a.store.Audit.Records(a.t.Context(), bellhop.AuditFilter{Limit: 1})
	if err != nil || len(recs) != 1 {
		a.t.Fatal(recs, err)
	}
	return recs[0]
}

// may wants an ask to be allowed or refused, and a refusal to be recorded.
func (a *approvals) may(p bellhop.Person, inv bellhop.Invocation, want bool) {
	a.t.Helper()
	_, err := a.do(p, inv)
	if want && err != nil || !want && bellhop.CodeOf(err) != bellhop.NotAllowed {
		a.t.Errorf("%s of %s %v by %s: %v; may: %v", inv.Action, inv.Run, inv.Args, p.Identity, err, want)
	}
	if rec := a.last(); err != nil && (rec.Allowed || rec.Identity != p.Identity || rec.Action != string(inv.Action)) {
		a.t.Errorf("the trail ends with %+v", rec)
	}
}

func about(action bellhop.Action, run bellhop.RunID) bellhop.Invocation {
	return bellhop.Invocation{Action: action, Run: run}
}

// fixedCatalog has a job with a command for ops, and one for dev whose
// environment is fixed.
func fixedCatalog(cat *bellhop.Catalog) {
	s := &cat.Services[0]
	s.Jobs[0].Approve = nil
	s.Entries[0].Allow = []bellhop.Rule{{Groups: []string{"ops"}}}
	s.Entries = append(s.Entries, bellhop.Entry{
		Service: "site", Name: "stage", Pattern: "stage", Action: bellhop.ActionRun, Job: "deploy",
		Args: bellhop.Args{"env": bellhop.Text("staging")}, Allow: []bellhop.Rule{{Groups: []string{"dev"}}},
	})
}

// TestARunIsOpenToThoseWhoCouldHaveAskedForIt: whoever may use only a command
// with fixed arguments neither reads nor repeats a run with others.
func TestARunIsOpenToThoseWhoCouldHaveAskedForIt(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(fixedCatalog)
	waiting := a.run(opsAda, ask("site", "deploy", "production")).Run
	for _, action := range []bellhop.Action{bellhop.ActionLogs, bellhop.ActionWhy, bellhop.ActionCancelRun} {
		a.may(devCy, about(action, waiting), false)
	}
	a.finish(a.claim(1)[0], bellhop.EndFailed)
	a.may(devCy, about(bellhop.ActionRetry, waiting), false)
	a.may(devCy, about(bellhop.ActionLogs, waiting), false)
	a.may(opsBea, about(bellhop.ActionLogs, waiting), true)
	a.may(opsBea, about(bellhop.ActionRetry, waiting), true)
	a.finish(a.claim(1)[0], bellhop.EndFailed)

	a.may(devCy, ask("site", "deploy", "staging"), false) // by the command of ops
	stage := ask("site", "deploy", "staging")
	stage.Entry = "stage"
	staging := a.run(devCy, stage).Run
	a.finish(a.claim(1)[0], bellhop.EndFailed)
	with := about(bellhop.ActionRetry, staging)
	with.Args = bellhop.Args{"env": bellhop.Text("production")}
	a.may(devCy, with, false)
	with.Args = bellhop.Args{"env": bellhop.Text("staging")}
	a.may(devCy, with, true)
	a.finish(a.claim(1)[0], bellhop.EndFailed)
	others := a.run(opsAda, ask("site", "deploy", "staging")).Run // which cy could have asked for
	a.may(devCy, about(bellhop.ActionLogs, others), true)
	a.may(devCy, about(bellhop.ActionCancelRun, others), true)

	a.activate(func(cat *bellhop.Catalog) { // no command asks for production any more
		fixedCatalog(cat)
		cat.Services[0].Entries = cat.Services[0].Entries[1:]
	})
	with.Args = bellhop.Args{"env": bellhop.Text("production")}
	a.may(devCy, with, false)
	a.may(devCy, about(bellhop.ActionLogs, waiting), false)
	a.may(opsAda, about(bellhop.ActionLogs, waiting), true) // who asked for it
	a.may(opsBea, about(bellhop.ActionLogs, waiting), false)
}

// TestRunsOfWhatIsGone: nobody can say any more who may, so those may who asked,
// and admins.
func TestRunsOfWhatIsGone(t *testing.T) {
	for name, gone := range map[string]func(*bellhop.Catalog){
		"service": func(cat *bellhop.Catalog) { cat.Services = nil },
		"job, in a service with rules": func(cat *bellhop.Catalog) {
			cat.Services[0].Jobs = []bellhop.Job{job("site", "other", func(j *bellhop.Job) { j.Allow = []bellhop.Rule{{Groups: []string{"dev"}}} })}
			cat.Services[0].Entries = nil
		},
		"job, with the last of the rules": func(cat *bellhop.Catalog) {
			cat.Services[0].Jobs, cat.Services[0].Entries = []bellhop.Job{job("site", "other", nil)}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApprovals(t, nil)
			a.activate(fixedCatalog)
			id := a.run(opsAda, ask("site", "deploy", "production")).Run
			a.activate(func(cat *bellhop.Catalog) {
				cat.Access.Admins = []bellhop.Rule{{People: []string{"bea"}}}
				gone(cat)
			})
			for _, action := range []bellhop.Action{bellhop.ActionLogs, bellhop.ActionWhy, bellhop.ActionCancelRun} {
				a.may(devCy, about(action, id), false)
				a.may(bellhop.Person{Identity: "ssh:mallory"}, about(action, id), false)
			}
			if runs, err := a.Runs(t.Context(), devCy, bellhop.RunFilter{}); err != nil || len(runs) != 1 || runs[0].Args != nil {
				t.Errorf("a list shows %+v, %v", runs, err)
			}
			a.may(opsAda, about(bellhop.ActionLogs, id), true)
			a.may(opsBea, about(bellhop.ActionLogs, id), true)
			if got, err := a.do(opsBea, about(bellhop.ActionCancelRun, id)); err != nil || got.Cancelled[0].Effect != bellhop.CancelDone {
				t.Errorf("an admin cancels: %+v, %v", got.Cancelled, err)
			}
		})
	}
}

// TestWhatAnApproverMayCancel: what they might deny, which is recorded as that.
func TestWhatAnApproverMayCancel(t *testing.T) {
	a := newApprovals(t, nil)
	forDev := func(cat *bellhop.Catalog) { cat.Services[0].Jobs[0].Allow = []bellhop.Rule{{Groups: []string{"dev"}}} }
	a.activate(forDev)
	for _, c := range []struct {
		approved bool
		by       bellhop.Person
		rule     string
		effect   bellhop.CancelEffect
	}{
		{false, opsBea, "may approve it", bellhop.CancelDone},
		{true, opsBea, "may approve it", bellhop.CancelNotYours},
		{false, devCy, "allow rule 1 of job site deploy", bellhop.CancelDone},
	} {
		id := a.asked().ID
		if c.approved {
			a.may(opsAda, approve(id), true)
		}
		got, err := a.do(c.by, about(bellhop.ActionCancelRun, id))
		if err != nil || got.Cancelled[0].Effect != c.effect {
			t.Errorf("%+v: %+v, %v", c, got.Cancelled, err)
		}
		if rec := a.last(); !rec.Allowed || rec.Rule != c.rule || rec.Action != string(bellhop.ActionCancelRun) {
			t.Errorf("%+v: recorded is %+v", c, rec)
		}
		a.may(devCy, about(bellhop.ActionCancelRun, id), true)
	}
	id := a.asked().ID
	a.activate(func(cat *bellhop.Catalog) { cat.Services[0].Jobs[0].Allow = []bellhop.Rule{{Groups: []string{"ops"}}} })
	a.may(devCy, about(bellhop.ActionCancelRun, id), true)
	if rec := a.last(); rec.Rule != "asked for it" {
		t.Errorf("who asked: %+v", rec)
	}
}

// TestRefusalsOfWhatIsForAdminsAreRecorded, under the name of what it was.
func TestRefusalsOfWhatIsForAdminsAreRecorded(t *testing.T) {
	a := newApprovals(t, nil)
	ctx := t.Context()
	for action, call := range map[string]func() error{
		"reload":       func() error { return a.MayManage(ctx, devCy, "reload") },
		"audit":        func() error { _, _, err := a.Audited(ctx, devCy, bellhop.AuditFilter{}); return err },
		"audit verify": func() error { _, err := a.VerifyAudit(ctx, devCy); return err },
		"why":          func() error { _, err := a.Explain(ctx, devCy, "ada", ask("site", "deploy", "x")); return err },
	} {
		if err := call(); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s: %v", action, err)
		}
		if rec := a.last(); rec.Action != action || rec.Allowed || rec.Principal != "cy" || rec.Source != "ssh" || rec.Rule != "no admin" || !strings.Contains(rec.Detail, "only an admin") {
			t.Errorf("%s: the trail ends with %+v", action, rec)
		}
	}
	before := a.last()
	if err := a.MayManage(ctx, owner, "reload"); err != nil || a.last().Seq != before.Seq {
		t.Errorf("an admin: %v, %+v", err, a.last())
	}
}

// TestARefusedAskIsRecordedInBrief: whoever may do nothing does not fill the
// trail; what is allowed is recorded whole.
func TestARefusedAskIsRecordedInBrief(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(func(cat *bellhop.Catalog) {
		s := &cat.Services[0]
		s.Jobs[0].Approve = nil
		s.Jobs[0].Allow = []bellhop.Rule{{Groups: []string{"ops"}}}
		for i := range 30 {
			s.Jobs[0].Params = append(s.Jobs[0].Params, bellhop.Param{Name: fmt.Sprintf("p%02d", i), Type: bellhop.TypeString})
		}
		s.Jobs[0].Params[2].Type = bellhop.TypeList
	})
	long := strings.Repeat("ä", 100_000)
	inv := ask("site", "deploy", long)
	for i := range 30 {
		inv.Args[fmt.Sprintf("p%02d", i)] = bellhop.Text(strings.Repeat("x", 200))
	}
	words := slices.Repeat([]string{"a word", ""}, 10_000)
	inv.Args["p01"] = bellhop.List(words...)
	a.may(devCy, inv, false)
	rec := a.last()
	if len(rec.Args) != 20 || !strings.HasSuffix(rec.Detail, "no rule allows it (arguments left out: 11)") {
		t.Errorf("%d arguments, %q", len(rec.Args), rec.Detail)
	}
	if got := rec.Args["env"].Text; got != strings.Repeat("ä", 200)+"..." {
		t.Errorf("a long text became one of %d characters", utf8.RuneCountInString(got))
	}
	if got := rec.Args["p00"].Text; got != strings.Repeat("x", 200) {
		t.Errorf("one that is short enough became %q", got)
	}
	if got := rec.Args["p01"]; len(got.String()) > 600 || got.List[0] != "a word" || got.List[len(got.List)-1] != "..." {
		t.Errorf("a list became %s", got)
	}
	a.may(opsAda, inv, true)
	if rec := a.last(); len(rec.Args) != 31 || rec.Args["env"].Text != long || len(rec.Args["p01"].List) != len(words) {
		t.Error("what was allowed is not recorded whole")
	}
}

// TestARefusalIsNotPassedByOtherSpelling: case and spaces around a value make no
// difference where they would let somebody through.
func TestARefusalIsNotPassedByOtherSpelling(t *testing.T) {
	env := map[string][]string{"env": {"production"}}
	for _, typ := range []bellhop.ParamType{bellhop.TypeString, bellhop.TypePattern, bellhop.TypeList, bellhop.TypeEnum} {
		a := newApprovals(t, nil)
		a.activate(func(cat *bellhop.Catalog) {
			first := &cat.Services[0]
			first.Jobs[0].Params[0].Type = typ // its approval is for production
			add := func(name string, rules ...bellhop.Rule) {
				s := bellhop.Service{Name: name, Jobs: []bellhop.Job{job(name, "deploy", func(j *bellhop.Job) { j.Allow = rules })}}
				s.Jobs[0].Params[0].Type = typ
				s.Entries = []bellhop.Entry{{Service: name, Name: "e", Pattern: "deploy [env]", Action: bellhop.ActionRun, Job: "deploy"}}
				cat.Services = append(cat.Services, s)
			}
			add("refused", bellhop.Rule{When: env, Refuse: true}, bellhop.Rule{Groups: []string{"internal"}})
			add("allowed", bellhop.Rule{When: env})
		})
		for said, same := range map[string]bool{"production": true, "Production": true, " PRODUCTION\t": true, "productions": false, "": false} {
			asked := func(service string) bellhop.Invocation {
				inv := ask(service, "deploy", said)
				if typ == bellhop.TypeList {
					inv.Args["env"] = bellhop.List(said)
				}
				return inv
			}
			loose := same && (typ != bellhop.TypeEnum || said == "production")
			a.may(devCy, asked("refused"), !loose)
			a.may(devCy, asked("allowed"), said == "production")
			if got := a.run(devCy, asked("site")); (got.Approval != nil) != loose {
				t.Errorf("%s %q waits for %+v", typ, said, got.Approval)
			}
		}
	}
}
