package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// sourced is a house with an outside source, irc, and an entry for what it sends.
func sourced(t *testing.T) *approvals {
	a := newApprovals(t, nil)
	a.activate(func(cat *bellhop.Catalog) {
		cat.Sources = []string{"irc", "probe"}
		cat.Access.People[0].Identities = append(cat.Access.People[0].Identities, "irc:ada")
		cat.Services[0].Sources = []bellhop.SourceEntry{
			{Service: "site", Name: "seen", Source: "irc", Job: "deploy", OnRepeat: bellhop.OnRepeatQueue},
			{Service: "site", Name: "told", Source: "probe", Job: "deploy", OnRepeat: bellhop.OnRepeatQueue, ReportTo: "irc:#ops"},
		}
	})
	return a
}

// A token of a source is good for that alone, and no other token is good for it.
func TestSourceTokens(t *testing.T) {
	a := sourced(t)
	for _, c := range []struct {
		tok  bellhop.Token
		code bellhop.Code
	}{
		{bellhop.Token{Name: "x", Source: "irc", As: "ada"}, bellhop.Invalid},
		{bellhop.Token{Name: "x", Source: "irc", Allow: []string{"site"}}, bellhop.Invalid},
		{bellhop.Token{Name: "x", Source: "irk"}, bellhop.NotFound},
		{bellhop.Token{Name: "x", Source: "slack"}, bellhop.NotFound},
	} {
		if _, err := a.CreateToken(t.Context(), boss, c.tok); bellhop.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c.tok, err)
		}
	}
	if _, err := a.CreateToken(t.Context(), opsAda, bellhop.Token{Name: "x", Source: "irc"}); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("by somebody who is no admin: %v", err)
	}
	text, err := a.CreateToken(t.Context(), boss, bellhop.Token{Name: "bot", Source: "irc", Expires: a.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if rec := a.last(); !strings.Contains(rec.Detail, "token bot made for source irc") {
		t.Errorf("the trail has %+v", rec)
	}
	if source, err := a.TokenSource(t.Context(), text); source != "irc" || err != nil {
		t.Errorf("it is %q, %v", source, err)
	}
	if p, err := a.TokenPerson(t.Context(), text); bellhop.CodeOf(err) != bellhop.NotAllowed || !errors.Is(err, engine.ErrOtherToken) || p != (bellhop.Person{}) {
		t.Errorf("as a person it is %+v, %v", p, err)
	}
	if _, err := a.TokenNow(t.Context(), "api:bot", a.clock.Now()); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("later it is somebody: %v", err)
	}
	person, _ := a.token(bellhop.Token{Name: "ci", As: "ada"})
	if source, err := a.TokenSource(t.Context(), person); source != "" || !errors.Is(err, engine.ErrOtherToken) || bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("a person's token is source %q, %v", source, err)
	}
	for _, bad := range []string{"", "bellhop.bot.", text + "X", strings.Replace(text, "bot", "ci", 1)} {
		if source, err := a.TokenSource(t.Context(), bad); source != "" || bellhop.CodeOf(err) != bellhop.NotAllowed || errors.Is(err, engine.ErrOtherToken) {
			t.Errorf("%q is source %q, %v", bad, source, err)
		}
	}
	a.activate(func(cat *bellhop.Catalog) { cat.Sources = []string{"probe"} })
	if source, err := a.TokenSource(t.Context(), text); source != "" || !errors.Is(err, engine.ErrOtherToken) {
		t.Errorf("of a source that is gone: %q, %v", source, err)
	}
	a.activate(func(cat *bellhop.Catalog) { cat.Sources = []string{"irc"} })
	a.clock.Advance(time.Hour)
	if _, err := a.TokenSource(t.Context(), text); bellhop.CodeOf(err) != bellhop.NotAllowed || errors.Is(err, engine.ErrOtherToken) {
		t.Errorf("when it has expired: %v", err)
	}
}

// What a source sends is asked for by the entry, told where it came from unless
// the entry says otherwise, and once for each key.
func TestFeedOfSource(t *testing.T) {
	a := sourced(t)
	from := bellhop.Origin{Source: "irc", Channel: "rack", Session: bellhop.OutsideSession("irc")}
	feed := func(source, key, env string) (*bellhop.Accepted, error) {
		t.Helper()
		all := a.SourceEntries(source)
		if len(all) != 1 {
			t.Fatalf("entries of %s: %+v", source, all)
		}
		return a.Feed(t.Context(), &all[0], key, bellhop.Args{"env": bellhop.Text(env)}, from)
	}
	first, err := feed("irc", "k1", "staging")
	if err != nil || first.How != bellhop.Created {
		t.Fatal(first, err)
	}
	if again, err := feed("irc", "k1", "staging"); err != nil || again.How != bellhop.Repeated || again.Run != first.Run {
		t.Errorf("the same key: %+v, %v", again, err)
	}
	asks, err := a.store.Records.Asks(t.Context(), first.Run)
	if err != nil || asks[0].Principal != "source:site/seen" || asks[0].Origin != from {
		t.Errorf("asked for by %+v, %v", asks[0], err)
	}
	told, err := feed("probe", "p1", "staging")
	if err != nil || told.How != bellhop.Created {
		t.Fatal(told, err)
	}
	if asks, err = a.store.Records.Asks(t.Context(), told.Run); err != nil || asks[0].Origin != (bellhop.Origin{Source: "irc", Channel: "#ops", Session: bellhop.OutsideSession("irc")}) {
		t.Errorf("told at %+v, %v", asks[0].Origin, err)
	}
	if _, err := feed("irc", "k2", "a\x00b"); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("a value that is none: %v", err)
	}
	if a.SourceEntries("ssh") != nil {
		t.Error("ssh has entries")
	}
	if who := a.SourcePeople("irc"); len(who) != 1 || who["irc:ada"] != "ada" {
		t.Errorf("its people are %v", who)
	}
	// The entry's principal may have its own job, and nothing else.
	as := bellhop.Person{Identity: "source:site/seen"}
	a.refused(as, ask("site", "other", "staging"), bellhop.NotFound, "")
	for _, who := range []string{"source:site/gone", "source:other/seen", "source:"} {
		a.refused(bellhop.Person{Identity: who}, ask("site", "deploy", "staging"), bellhop.NotAllowed, "no such source asks for it")
	}
	all := a.SourceEntries("irc")
	all[0].Name = "gone" // since the configuration has been changed
	if _, err := a.Feed(t.Context(), &all[0], "k3", bellhop.Args{"env": bellhop.Text("staging")}, from); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("of an entry that is gone: %v", err)
	}
}

// Who has a source's token could else have sessions of all its people.
func TestNobodyLogsInByWayOfASource(t *testing.T) {
	a := sourced(t)
	for identity, code := range map[string]bellhop.Code{"irc:ada": bellhop.NotAllowed, "source:site/seen": bellhop.NotAllowed, opsAda.Identity: ""} {
		p := bellhop.Person{Identity: identity}
		if _, _, err := a.LoginLink(t.Context(), p, bellhop.Origin{Source: p.Source()}, "k/"+identity); bellhop.CodeOf(err) != code {
			t.Errorf("%s: %v", identity, err)
		}
	}
}
