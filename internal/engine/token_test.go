package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

var boss = bellhop.Person{Identity: "local:boss", Listed: true}

// token makes one, and returns who shows it.
func (a *approvals) token(tok bellhop.Token) (text string, p bellhop.Person) {
	a.t.Helper()
	text, err := a.CreateToken(a.t.Context(), boss, tok)
	if err != nil {
		a.t.Fatal(err)
	}
	p, err = a.TokenPerson(a.t.Context(), text)
	if err != nil {
		a.t.Fatal(err)
	}
	return text, p
}

func (a *approvals) noToken(text string) {
	a.t.Helper()
	if p, err := a.TokenPerson(a.t.Context(), text); bellhop.CodeOf(err) != bellhop.NotAllowed {
		a.t.Errorf("%.30q is %+v, %v", text, p, err)
	}
}

func TestTokens(t *testing.T) {
	a := newApprovals(t, nil)
	text, p := a.token(bellhop.Token{Name: "ci", As: "ada", Expires: a.clock.Now().Add(time.Hour)})
	who := a.Identify(p)
	if who.Principal() != "ada" || who.Identity != "api:ci" || !who.Internal || strings.Join(who.Groups, " ") != "ops" {
		t.Errorf("it is %+v", who)
	}
	if got, err := a.store.Values.List(t.Context(), "token", "", "", 9, a.clock.Now()); err != nil || len(got) != 1 || strings.Contains(string(got[0].Value), strings.TrimPrefix(text, "bellhop.ci.")) {
		t.Errorf("the store has %s, %v", got[0].Value, err)
	}
	for _, bad := range []string{"", "bellhop.", "bellhop.ci", "bellhop.ci.", text + "X", text[:len(text)-1], strings.Replace(text, "ci", "other", 1), "bellhop." + strings.Repeat("x", 300) + ".y", "ci" + text} {
		a.noToken(bad)
	}
	if _, err := a.CreateToken(t.Context(), boss, bellhop.Token{Name: "ci"}); bellhop.CodeOf(err) != bellhop.Conflict {
		t.Errorf("a second one of the name: %v", err)
	}
	if _, err := a.CreateToken(t.Context(), opsAda, bellhop.Token{Name: "mine"}); bellhop.CodeOf(err) != bellhop.NotAllowed || a.last().Allowed {
		t.Errorf("by somebody who is no admin: %v", err)
	}
	if _, err := a.CreateToken(t.Context(), boss, bellhop.Token{Name: "x", As: "nobody"}); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("for nobody: %v", err)
	}
	a.clock.Advance(time.Hour)
	a.noToken(text)
	text, _ = a.token(bellhop.Token{Name: "again"})
	if err := a.RemoveToken(t.Context(), boss, "again"); err != nil {
		t.Fatal(err)
	}
	a.noToken(text)
	if rec := a.last(); rec.Action != "token" || rec.Principal != "local:boss" || rec.Detail != "token again removed" {
		t.Errorf("the trail ends with %+v", rec)
	}
}

// TestATokenHasTheRightsOfNow: whom it stands for may have left since.
func TestATokenHasTheRightsOfNow(t *testing.T) {
	a := newApprovals(t, nil)
	_, p := a.token(bellhop.Token{Name: "ci", As: "ada"})
	a.activate(func(cat *bellhop.Catalog) { cat.Access.People = cat.Access.People[1:] })
	if who := a.Identify(p); who.Internal || who.Principal() != "api:ci" || len(who.Groups) > 0 {
		t.Errorf("it is %+v", who)
	}
}

// TestATokenIsConfined: to its jobs, whatever its person may or has asked for.
func TestATokenIsConfined(t *testing.T) {
	a := newApprovals(t, nil)
	run := a.asked() // by cy
	own := a.run(opsAda, ask("site", "deploy", "staging")).Run
	a.activate(func(cat *bellhop.Catalog) {
		cat.Access.Admins = []bellhop.Rule{{People: []string{"ada"}}}
		cat.Services[0].Jobs = append(cat.Services[0].Jobs, job("site", "other", func(*bellhop.Job) {}))
	})
	_, other := a.token(bellhop.Token{Name: "other", As: "ada", Allow: []string{"site/other"}})
	_, all := a.token(bellhop.Token{Name: "all", As: "ada", Allow: []string{"site"}})
	_, free := a.token(bellhop.Token{Name: "free", As: "ada"})
	a.may(other, ask("site", "deploy", "staging"), false)
	a.may(other, about(bellhop.ActionApprove, run.ID), false)
	a.may(other, about(bellhop.ActionCancelRun, own), false)
	a.may(other, about(bellhop.ActionLogs, own), false)
	a.may(other, about(bellhop.ActionRetry, own), false)
	a.may(all, about(bellhop.ActionLogs, own), true)
	a.may(all, ask("site", "deploy", "staging"), true)
	if a.MayManage(t.Context(), all, "reload") == nil {
		t.Error("a token that is confined manages the server")
	}
	if err := a.MayManage(t.Context(), free, "reload"); err != nil {
		t.Errorf("a token of an admin: %v", err)
	}
	if runs, err := a.Runs(t.Context(), other, bellhop.RunFilter{Limit: 9}); err != nil || len(runs) > 0 {
		t.Errorf("it is shown %+v, %v", runs, err)
	}
	if st, err := a.Status(t.Context(), other); err != nil || len(st.Running)+len(st.Waiting) > 0 {
		t.Errorf("it is shown %+v, %v", st, err)
	}
	if runs, err := a.Runs(t.Context(), all, bellhop.RunFilter{Limit: 1}); err != nil || len(runs) != 1 || runs[0].ID != own {
		t.Errorf("that of the whole service is shown %+v, %v", runs, err)
	}
	if _, err := a.do(other, about(bellhop.ActionLogs, own)); strings.Contains(err.Error(), "deploy") {
		t.Errorf("it is told what another run is of: %v", err)
	}
	a.may(all, about(bellhop.ActionApprove, run.ID), true)
}

// TestATokenThatSpokeIsLookedUpAgain: what it has put off has the rights that it
// has when the time comes.
func TestATokenThatSpokeIsLookedUpAgain(t *testing.T) {
	a := newApprovals(t, nil)
	_, p := a.token(bellhop.Token{Name: "ci", As: "ada", Allow: []string{"site"}})
	spoke := a.clock.Now()
	if now, err := a.TokenNow(t.Context(), p.Identity, spoke); err != nil || now != p {
		t.Errorf("it is %+v, %v", now, err)
	}
	gone := func(why string) {
		t.Helper()
		if now, err := a.TokenNow(t.Context(), p.Identity, spoke); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s: it is %+v, %v", why, now, err)
		}
	}
	if err := a.RemoveToken(t.Context(), boss, "ci"); err != nil {
		t.Fatal(err)
	}
	gone("removed")
	a.clock.Advance(time.Second)
	a.token(bellhop.Token{Name: "ci", As: "ada", Expires: a.clock.Now().Add(time.Hour)})
	gone("another of its name")
	spoke = a.clock.Now()
	a.clock.Advance(time.Hour)
	gone("expired")
}

// TestAVoteOfATokenCounts as that of the person for whom it spoke.
func TestAVoteOfATokenCounts(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(counting(2, nil))
	_, bot := a.token(bellhop.Token{Name: "ci", As: "ada"})
	id := a.asked().ID
	a.approved(bot, id, bellhop.Held, "ada")
	if _, err := a.do(opsAda, approve(id)); err == nil && a.get(id).State != bellhop.Held {
		t.Error("one person has counted twice")
	}
	a.approved(opsBea, id, bellhop.Waiting, "ada bea")
}

// TestAGuestLearnsOfNoJobs by asking for one.
func TestAGuestLearnsOfNoJobs(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(func(cat *bellhop.Catalog) { cat.Services[0].Restricted = true; cat.Services[0].Allow = nil })
	_, guest := a.token(bellhop.Token{Name: "guest"})
	for _, name := range []string{"deploy", "nosuch"} {
		if _, err := a.Bind(t.Context(), guest, "site", name, bellhop.Args{"x": bellhop.Text("y")}); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
