package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

func (a *approvals) link(p bellhop.Person) string {
	a.t.Helper()
	code, expires, err := a.LoginLink(a.t.Context(), p, bellhop.Origin{}, "")
	if err != nil || !expires.Equal(a.clock.Now().Add(time.Minute)) {
		a.t.Fatalf("a link until %s, %v", expires, err)
	}
	return code
}

func (a *approvals) session(p bellhop.Person) (text string, s bellhop.Session) {
	a.t.Helper()
	text, s, err := a.OpenSession(a.t.Context(), a.link(p), bellhop.SessionAbout{Agent: "Browser\n9", From: "192.0.2.1"})
	if err != nil {
		a.t.Fatal(err)
	}
	return text, s
}

func (a *approvals) shows(text string) bellhop.Session {
	a.t.Helper()
	_, s, err := a.SessionPerson(a.t.Context(), text)
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

func (a *approvals) noSession(text, why string) {
	a.t.Helper()
	if p, _, err := a.SessionPerson(a.t.Context(), text); bellhop.CodeOf(err) != bellhop.NotAllowed {
		a.t.Errorf("%s: the session is of %+v, %v", why, p, err)
	}
}

func (a *approvals) noLink(code, why string) {
	a.t.Helper()
	if who, err := a.LookLink(a.t.Context(), code); bellhop.CodeOf(err) != bellhop.NotAllowed {
		a.t.Errorf("%s: the link is for %+v, %v", why, who, err)
	}
	if _, s, err := a.OpenSession(a.t.Context(), code, bellhop.SessionAbout{}); bellhop.CodeOf(err) != bellhop.NotAllowed {
		a.t.Errorf("%s: it opened %+v, %v", why, s, err)
	}
}

func TestALoginLinkOpensOneSession(t *testing.T) {
	a := newApprovals(t, nil)
	in := opsAda
	in.Channel = "C0123"
	code := a.link(in)
	if rec := a.last(); rec.Action != "login" || rec.Principal != "ada" || !rec.Allowed {
		t.Errorf("the trail ends with %+v", rec)
	}
	for range 2 {
		if who, err := a.LookLink(t.Context(), code); err != nil || who.Principal() != "ada" {
			t.Errorf("the link is for %+v, %v", who, err)
		}
	}
	text, s, err := a.OpenSession(t.Context(), code, bellhop.SessionAbout{Agent: "Browser\n9", From: "192.0.2.1"})
	if err != nil || s.Principal != "ada" || s.Identity != "ssh:ada" || s.Agent != "Browser 9" || s.From != "192.0.2.1" || s.Stale {
		t.Errorf("the session is %+v, %v", s, err)
	}
	if rec := a.last(); rec.Action != "login" || rec.Principal != "ada" || rec.Identity != "ssh:ada" || !strings.Contains(rec.Detail, s.ID) || !strings.Contains(rec.Detail, "192.0.2.1") {
		t.Errorf("the trail ends with %+v", rec)
	}
	a.noLink(code, "used")
	p, _, err := a.SessionPerson(t.Context(), text)
	if who := a.Identify(p); err != nil || who.Principal() != "ada" || !who.Internal || strings.Join(who.Groups, " ") != "ops" || who.Channel != "" {
		t.Errorf("it is %+v, %v", who, err)
	}
	for _, bad := range []string{"", ".", s.ID, s.ID + ".", text + "X", text[:len(text)-1], "x" + text, strings.Repeat("x", 16) + text[16:], strings.Repeat("x", 3000)} {
		a.noSession(bad, bad)
		a.noLink(bad, bad)
	}
	for _, space := range []string{"login", "session"} {
		list, err := a.store.Values.List(t.Context(), space, "", "", 9, a.clock.Now())
		for _, v := range list {
			for _, secret := range []string{strings.SplitN(text, ".", 2)[1], strings.SplitN(code, ".", 2)[1]} {
				if strings.Contains(v.Key+string(v.Value), secret) {
					t.Errorf("the store has %s = %s", v.Key, v.Value)
				}
			}
		}
		if want := map[string]int{"login": 0, "session": 1}[space]; err != nil || len(list) != want {
			t.Errorf("there are %d values in %s, %v; want %d", len(list), space, err, want)
		}
	}
}

// TestACodeThatIsUsedTwiceAtOnceOpensOneSession also when the two don't wait
// for each other.
func TestACodeThatIsUsedTwiceAtOnceOpensOneSession(t *testing.T) {
	a := newApprovals(t, nil)
	for range 10 {
		code := a.link(opsAda)
		var opened atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				switch _, _, err := a.OpenSession(t.Context(), code, bellhop.SessionAbout{}); {
				case err == nil:
					opened.Add(1)
				case bellhop.CodeOf(err) != bellhop.NotAllowed:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := opened.Load(); n != 1 {
			t.Errorf("one code opened %d sessions", n)
		}
	}
}

func TestALoginLinkIsGoodForAMinute(t *testing.T) {
	a := newApprovals(t, nil)
	code := a.link(opsAda)
	a.clock.Advance(59 * time.Second)
	if _, err := a.LookLink(t.Context(), code); err != nil {
		t.Error(err)
	}
	a.clock.Advance(time.Second)
	a.noLink(code, "a minute old")
	a.clock.Advance(-time.Hour)
	a.noLink(code, "the clock was set back")
}

func TestLoginLinksAreFew(t *testing.T) {
	a := newApprovals(t, nil)
	code := a.link(opsAda)
	slack := bellhop.Person{Identity: "slack:T1/U1"} // ada, too
	for range 4 {
		a.link(slack)
	}
	if _, _, err := a.LoginLink(t.Context(), opsAda, bellhop.Origin{}, ""); bellhop.CodeOf(err) != bellhop.Conflict {
		t.Errorf("a sixth: %v", err)
	}
	a.link(opsBea)
	if _, _, err := a.OpenSession(t.Context(), code, bellhop.SessionAbout{}); err != nil {
		t.Fatal(err)
	}
	a.link(opsAda)
	a.clock.Advance(time.Minute)
	for range 5 {
		a.link(opsAda)
	}
}

func TestALoginLinkIsToldOnceForAnEvent(t *testing.T) {
	a := newApprovals(t, nil)
	ask := func(p bellhop.Person, from, key string) error {
		t.Helper()
		code, _, err := a.LoginLink(t.Context(), p, bellhop.Origin{Source: from}, key)
		if (code == "") == (err == nil) {
			t.Errorf("%s: a code and %v", key, err)
		}
		return err
	}
	if err := ask(opsAda, "slack", "slack:T1/D1/1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ask(opsAda, "slack", "slack:T1/D1/1"); bellhop.CodeOf(err) != bellhop.Conflict || !strings.Contains(err.Error(), "told once") {
			t.Errorf("the same event again: %v", err)
		}
	}
	for _, key := range []string{"2", "3", "4", "5"} {
		if err := ask(opsAda, "slack", key); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(opsAda, "slack", "6"); bellhop.CodeOf(err) != bellhop.Conflict || strings.Contains(err.Error(), "told once") {
		t.Errorf("a sixth: %v", err)
	}
	a.clock.Advance(time.Minute)
	if err := ask(opsAda, "slack", "6"); err != nil {
		t.Errorf("it was not told, and is asked for again: %v", err)
	}
	if err := ask(opsAda, "slack", "5"); bellhop.CodeOf(err) != bellhop.Conflict {
		t.Errorf("a minute later: %v", err)
	}
	if err := ask(opsAda, bellhop.SourceWeb, "7"); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("of a session: %v", err)
	}
	if rec := a.last(); rec.Action != "login" || rec.Allowed || rec.Rule == "" {
		t.Errorf("the trail ends with %+v", rec)
	}
}

func TestWhoMayNotLogIn(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(func(cat *bellhop.Catalog) {
		cat.Sources = []string{"desk"}
		cat.Access.People[0].Identities = append(cat.Access.People[0].Identities, "desk:ada")
		cat.Services[0].Schedules = []bellhop.Schedule{{Service: "site", Name: "night", Job: "deploy"}}
	})
	_, bot := a.token(bellhop.Token{Name: "bot"})
	_, scoped := a.token(bellhop.Token{Name: "scoped", As: "ada", Allow: []string{"site"}})
	_, stands := a.token(bellhop.Token{Name: "stands", As: "ada"})
	outside := opsAda
	outside.Outside = true
	for _, p := range []bellhop.Person{guest, bot, scoped, outside, {Identity: "schedule:site/night"}, {Identity: "local:someone"}, {Identity: "desk:ada"}, {Identity: "source:site/alarm"}} {
		if _, _, err := a.LoginLink(t.Context(), p, bellhop.Origin{}, ""); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%+v: %v", p, err)
		}
		if rec := a.last(); rec.Action != "login" || rec.Allowed || rec.Identity != p.Identity || rec.Rule == "" {
			t.Errorf("%+v: the trail ends with %+v", p, rec)
		}
	}
	a.session(boss)
	text, _ := a.session(stands)
	a.clock.Advance(time.Minute)
	if s := a.shows(text); s.Principal != "ada" {
		t.Errorf("the session of a token that stands for ada is %+v", s)
	}
	if err := a.RemoveToken(t.Context(), boss, "stands"); err != nil {
		t.Fatal(err)
	}
	a.clock.Advance(time.Minute)
	a.noSession(text, "its token was removed")

	code := a.link(opsBea)
	text, _ = a.session(opsBea)
	a.activate(func(cat *bellhop.Catalog) { cat.Access.People = cat.Access.People[:1] })
	a.noSession(text, "bea is not in people: any more")
	if _, _, err := a.OpenSession(t.Context(), code, bellhop.SessionAbout{}); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("with a link of before: %v", err)
	}
	a.activate(func(cat *bellhop.Catalog) { cat.Access = bellhop.Access{} })
	a.session(guest)
}

// TestASessionIsOfWhomItsChatSays, as long as that can be asked.
func TestASessionIsOfWhomItsChatSays(t *testing.T) {
	a := newApprovals(t, nil)
	var says error
	outside := false
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: &bus.Local{}, Clock: a.clock,
		WhoNow: func(_ context.Context, p bellhop.Person, _ time.Time) (bellhop.Person, error) {
			p.Outside, p.Channel = outside, "C0123"
			return p, says
		}})
	if err := a.Activate(t.Context(), approvedCatalog(nil)); err != nil {
		t.Fatal(err)
	}
	text, _ := a.session(opsAda)
	says = bellhop.Errorf(bellhop.Unavailable, "away")
	for range 59 {
		a.clock.Advance(time.Minute)
		a.shows(text)
	}
	a.clock.Advance(time.Minute)
	if _, _, err := a.SessionPerson(t.Context(), text); bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("nobody has said who it is for an hour: %v", err)
	}
	says = nil
	if p, _, err := a.SessionPerson(t.Context(), text); err != nil || p.Channel != "" {
		t.Errorf("it is %+v, %v", p, err)
	}
	outside = true
	a.shows(text) // asked less than a minute ago
	a.clock.Advance(time.Minute)
	a.noSession(text, "deactivated")
	outside, says = false, bellhop.Errorf(bellhop.NotAllowed, "no such key")
	a.clock.Advance(time.Minute)
	a.noSession(text, "the key is gone")
}

// puts counts what is written of sessions.
type puts struct {
	bellhop.Values
	n    atomic.Int32
	full atomic.Bool
	do   func() // before each
}

func (v *puts) Put(ctx context.Context, namespace, key string, value []byte, version int64, ttl time.Duration, now time.Time) (int64, error) {
	if v.do != nil {
		v.do()
	}
	if v.full.Load() {
		return 0, bellhop.Errorf(bellhop.Unavailable, "the disk is full")
	}
	v.n.Add(1)
	return v.Values.Put(ctx, namespace, key, value, version, ttl, now)
}

// counted has an engine over values that are counted.
func (a *approvals) counted() *puts {
	a.t.Helper()
	v := &puts{Values: a.store.Values}
	s := *a.store
	s.Values = v
	a.Engine = engine.New(engine.Options{Store: &s, Bus: &bus.Local{}, Clock: a.clock})
	if err := a.Activate(a.t.Context(), approvedCatalog(nil)); err != nil {
		a.t.Fatal(err)
	}
	return v
}

func TestASessionEnds(t *testing.T) {
	a := newApprovals(t, nil)
	v := a.counted()
	text, s := a.session(opsAda)
	made := a.clock.Now()
	wrote := v.n.Load()
	for i := range 12 { // of two minutes, every ten seconds
		a.clock.Advance(10 * time.Second)
		if s = a.shows(text); a.clock.Now().Sub(s.Seen) >= time.Minute {
			t.Errorf("look %d: last seen at %s, and it is %s", i, s.Seen, a.clock.Now())
		}
	}
	if n := v.n.Load() - wrote; n != 2 {
		t.Errorf("it was written %d times in two minutes", n)
	}
	v.full.Store(true)
	a.clock.Advance(2 * time.Minute)
	a.shows(text)
	v.full.Store(false)
	a.clock.Advance(-time.Hour) // set back: it is noted all the same
	if s = a.shows(text); !s.Seen.Equal(a.clock.Now()) {
		t.Errorf("last seen at %s, and it is %s", s.Seen, a.clock.Now())
	}
	a.clock.Advance(24*time.Hour - time.Second)
	s = a.shows(text)
	for range 29 {
		a.clock.Advance(24*time.Hour - time.Second)
		s = a.shows(text)
	}
	if want := made.Add(30 * 24 * time.Hour); !s.Expires.Equal(want) {
		t.Errorf("it ends at %s, want %s", s.Expires, want)
	}
	a.clock.Advance(s.Expires.Sub(a.clock.Now()) - time.Second)
	a.shows(text)
	a.clock.Advance(time.Second)
	a.noSession(text, "30 days old")
	text, _ = a.session(opsAda)
	a.clock.Advance(24 * time.Hour)
	a.noSession(text, "not used for a day")
	if list, err := a.Sessions(t.Context(), boss); err != nil || len(list) != 0 {
		t.Errorf("there are %+v, %v", list, err)
	}
}

func (a *approvals) rotate(text string) string {
	a.t.Helper()
	next, err := a.RotateSession(a.t.Context(), text)
	if err != nil {
		a.t.Fatal(err)
	}
	return next
}

func TestASessionGetsAnotherText(t *testing.T) {
	a := newApprovals(t, nil)
	one, s := a.session(opsAda)
	a.clock.Advance(time.Hour - time.Second)
	if a.shows(one).Stale {
		t.Error("it is stale before an hour")
	}
	a.clock.Advance(time.Second)
	if !a.shows(one).Stale {
		t.Error("it is not stale after an hour")
	}
	two := a.rotate(one)
	if a.shows(one).Stale || a.rotate(one) != "" {
		t.Error("a request that is under way gets a text of its own")
	}
	if got := a.shows(two); got.ID != s.ID || got.Stale || two == one {
		t.Errorf("the new text shows %+v", got)
	}
	a.clock.Advance(29 * time.Second)
	a.shows(one)
	a.clock.Advance(time.Second)
	a.noSession(one, "half a minute after the new one was used")
	if _, err := a.RotateSession(t.Context(), one); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("the old text gives another: %v", err)
	}
	a.clock.Advance(-2 * time.Hour)
	a.noSession(one, "the clock was set back")
	a.shows(two)
}

// TestATextThatNeverArrivedIsGivenAgain: the answer that had it was lost.
func TestATextThatNeverArrivedIsGivenAgain(t *testing.T) {
	a := newApprovals(t, nil)
	one, _ := a.session(opsAda)
	two := a.rotate(one)
	a.clock.Advance(30 * time.Second)
	if !a.shows(one).Stale {
		t.Error("nothing says that the text is to be replaced")
	}
	three := a.rotate(one)
	a.noSession(two, "it was lost")
	a.shows(three)
	a.shows(one)
	a.clock.Advance(30 * time.Second)
	a.noSession(one, "half a minute after")
}

func TestOneOfManyRequestsGetsTheNewText(t *testing.T) {
	a := newApprovals(t, nil)
	one, _ := a.session(opsAda)
	got := make(chan string, 16)
	var all sync.WaitGroup
	for range cap(got) {
		all.Go(func() { got <- a.rotate(one) })
		all.Go(func() { a.shows(one) })
	}
	all.Wait()
	close(got)
	var next []string
	for text := range got {
		if text != "" {
			next = append(next, text)
		}
	}
	if len(next) != 1 {
		t.Fatalf("there are %d new texts", len(next))
	}
	a.shows(next[0])
}

func TestSessionsAreOnesOwn(t *testing.T) {
	a := newApprovals(t, nil)
	ada, s := a.session(opsAda)
	a.clock.Advance(time.Second)
	slack, _ := a.session(bellhop.Person{Identity: "slack:T1/U1"}) // ada, too
	a.clock.Advance(time.Second)
	bea, b := a.session(opsBea)
	_, scoped := a.token(bellhop.Token{Name: "scoped", As: "ada", Allow: []string{"site"}})
	list := func(p bellhop.Person) (who string) {
		t.Helper()
		all, err := a.Sessions(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			who += s.Identity + " "
		}
		return who
	}
	for _, c := range []struct {
		p    bellhop.Person
		want string
	}{{opsAda, "slack:T1/U1 ssh:ada "}, {opsBea, "ssh:bea "}, {devCy, ""}, {scoped, ""}, {boss, "ssh:bea slack:T1/U1 ssh:ada "}} {
		if got := list(c.p); got != c.want {
			t.Errorf("%s sees %q, want %q", c.p.Identity, got, c.want)
		}
	}
	for _, id := range []string{s.ID, "", "nosuch", strings.Repeat("x", 16)} {
		for _, p := range []bellhop.Person{opsBea, scoped} {
			if err := a.EndSession(t.Context(), p, id); bellhop.CodeOf(err) != bellhop.NotFound {
				t.Errorf("%s ends %q: %v", p.Identity, id, err)
			}
		}
	}
	if err := a.EndSession(t.Context(), opsAda, s.ID); err != nil {
		t.Fatal(err)
	}
	if rec := a.last(); rec.Action != "logout" || rec.Principal != "ada" || rec.Detail != "session "+s.ID || !rec.Allowed {
		t.Errorf("the trail ends with %+v", rec)
	}
	a.noSession(ada, "logged out")
	if err := a.EndSession(t.Context(), opsAda, s.ID); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("twice: %v", err)
	}
	a.shows(slack)
	if err := a.EndSession(t.Context(), boss, b.ID); err != nil {
		t.Fatal(err)
	}
	if rec := a.last(); rec.Principal != "local:boss" || rec.Detail != "session "+b.ID+" of bea" {
		t.Errorf("the trail ends with %+v", rec)
	}
	a.noSession(bea, "ended by an admin")
}

// TestASessionThatWasEndedStaysSo though somebody uses it at that moment.
func TestASessionThatWasEndedStaysSo(t *testing.T) {
	a := newApprovals(t, nil)
	v := a.counted()
	text, s := a.session(opsAda)
	a.clock.Advance(time.Minute)
	v.do = func() {
		v.do = nil
		if err := a.EndSession(t.Context(), opsAda, s.ID); err != nil {
			t.Error(err)
		}
	}
	a.noSession(text, "ended before it was noted that it is used")
	text, s = a.session(opsAda)
	v.do = func() {
		v.do = nil
		if err := a.EndSession(t.Context(), opsAda, s.ID); err != nil {
			t.Error(err)
		}
	}
	if next := a.rotate(text); next != "" {
		t.Error("an ended session has another text")
	}
	a.noSession(text, "ended while it got another text")
}

func TestSessionsOfOneArePutInBounds(t *testing.T) {
	a := newApprovals(t, nil)
	first, _ := a.session(opsAda)
	second, _ := a.session(opsAda)
	other, _ := a.session(opsBea)
	a.clock.Advance(time.Minute)
	a.shows(first)
	for range 19 {
		a.session(opsAda)
	}
	if rec := a.last(); rec.Action != "login" {
		t.Errorf("the trail ends with %+v", rec)
	}
	a.shows(first)
	a.shows(other)
	a.noSession(second, "it was used longest ago")
	if list, err := a.Sessions(t.Context(), opsAda); err != nil || len(list) != 20 {
		t.Errorf("there are %d, %v", len(list), err)
	}
}

func TestWhatABrowserSaysIsCut(t *testing.T) {
	a := newApprovals(t, nil)
	for _, agent := range []string{strings.Repeat("ä", 300), "a\x1b[2J\r\nb\u202e", "\xff\xfe", strings.Repeat("x", 1<<20)} {
		_, s, err := a.OpenSession(t.Context(), a.link(opsAda), bellhop.SessionAbout{Agent: agent})
		if err != nil || len(s.Agent) > 210 || strings.ContainsAny(s.Agent, "\x1b\r\n\u202e") || strings.ToValidUTF8(s.Agent, "") != s.Agent {
			t.Errorf("%.20q is kept as %q, %v", agent, s.Agent, err)
		}
		if rec := a.last(); len(rec.Detail) > 300 {
			t.Errorf("the trail has %d bytes of it", len(fmt.Sprint(rec.Detail)))
		}
	}
}
