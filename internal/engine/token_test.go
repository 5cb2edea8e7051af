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
	runs, err := a.Runs(t.Context(), other, bellhop.RunFilter{Limit: 9})
	if err != nil || len(runs) == 0 {
		t.Fatal(runs, err)
	}
	for _, r := range runs {
		if r.Job == "deploy" && len(r.Args) > 0 {
			t.Errorf("it is shown %v of %s", r.Args, r.ID)
		}
	}
	a.may(all, about(bellhop.ActionApprove, run.ID), true)
}
