package engine_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// scheduled is a catalog in which schedules ask for what nobody may have.
func scheduled() *bellhop.Catalog {
	cat := catalog()
	nobody := []bellhop.Rule{{Refuse: true}}
	cat.Services[0].Allow = nobody
	cat.Services[1].Jobs = append(cat.Services[1].Jobs, job("secret", "other", func(j *bellhop.Job) { j.Allow = nobody }))
	for i := range cat.Services {
		s := &cat.Services[i]
		s.Schedules = []bellhop.Schedule{{Service: s.Name, Name: "night", Job: "deploy", Cron: "@daily", Args: bellhop.Args{"env": bellhop.Text("a")}}}
	}
	return cat
}

// askOf is who asked for a run first.
func (h *house) askOf(id bellhop.RunID) bellhop.Ask {
	h.t.Helper()
	asks, err := h.store.Records.Asks(h.t.Context(), id)
	if err != nil || len(asks) != 1 {
		h.t.Fatal(asks, err)
	}
	return asks[0]
}

func TestScheduleMayHaveItsJobAlone(t *testing.T) {
	h := newHouse(t)
	cat := scheduled()
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	for i := range cat.Services {
		s := &cat.Services[i].Schedules[0]
		id, err := h.Tick(t.Context(), s, noon, time.Hour)
		if err != nil {
			t.Fatalf("%s: %v", s.Principal(), err)
		}
		for range 2 {
			if again, err := h.Tick(t.Context(), s, noon, 0); again != id || err != nil {
				t.Errorf("%s: the same tick again is %s, not %s: %v", s.Principal(), again, id, err)
			}
		}
		if next, err := h.Tick(t.Context(), s, noon.Add(time.Second), 0); next == id || err != nil {
			t.Errorf("%s: the next tick is %s, %v", s.Principal(), next, err)
		}
		if a := h.askOf(id); a.Principal != "schedule:"+s.Service+"/night" || a.Identity != a.Principal || h.get(id).Args["env"].Text != "a" {
			t.Errorf("its run is %+v, asked for by %+v", h.get(id), a)
		}
		if ended, err := h.Ended(t.Context(), id); ended || err != nil {
			t.Errorf("it has ended: %v, %v", ended, err)
		}
		if err := h.CancelTick(t.Context(), s, id); err != nil {
			t.Errorf("%s may not cancel its run: %v", s.Principal(), err)
		}
		if ended, err := h.Ended(t.Context(), id); !ended || err != nil {
			t.Errorf("it has not ended: %v, %v", ended, err)
		}
	}
	if ended, err := h.Ended(t.Context(), 12345); !ended || err != nil {
		t.Errorf("one that is not known has not ended: %v, %v", ended, err)
	}

	// Neither another job, nor another service's, nor a job that is gone.
	mine := cat.Services[1].Schedules[0]
	for what, change := range map[string]func(*bellhop.Schedule){
		"another job":           func(s *bellhop.Schedule) { s.Job = "other" },
		"another service's job": func(s *bellhop.Schedule) { s.Service = "example" },
		"another name":          func(s *bellhop.Schedule) { s.Name = "day" },
		"another case":          func(s *bellhop.Schedule) { s.Name = "Night" },
	} {
		s := mine
		change(&s)
		p := bellhop.Person{Identity: s.Principal(), Listed: true}
		if what == "another service's job" {
			p.Identity = mine.Principal()
		}
		inv := ask(s.Service, s.Job, "a")
		inv.Entry = ""
		_, err := h.do(p, inv)
		wantCode(t, err, bellhop.NotAllowed)
		if err == nil || !strings.Contains(err.Error(), "no such schedule asks for it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Nor what is not a run.
	other := h.run(alice, ask("secret", "deploy", "b")).Run
	p := bellhop.Person{Identity: mine.Principal(), Listed: true}
	for _, inv := range []bellhop.Invocation{
		{Action: bellhop.ActionPause, Service: "example"}, {Action: bellhop.ActionPause, Service: "secret", Job: "other"},
	} {
		_, err := h.do(p, inv)
		wantCode(t, err, bellhop.NotAllowed)
	}
	wantCode(t, h.MayManage(t.Context(), p, "manage"), bellhop.NotAllowed)
	_ = other
}

// TestNobodyIsScheduleByName: a name that a chat gives, or `people:`, is not an
// identity.
func TestNobodyIsScheduleByName(t *testing.T) {
	h := newHouse(t)
	cat := scheduled()
	for _, peopled := range []bool{false, true} {
		cat.Access.Peopled = peopled
		cat.Access.People = nil
		if peopled {
			cat.Access.People = []bellhop.Member{{Name: "schedule:secret/night", Identities: []string{"ssh:eve"}}}
		}
		cat.Services[1].Allow = []bellhop.Rule{{Refuse: true}}
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		for _, p := range []bellhop.Person{
			{Identity: "ssh:eve", Name: "schedule:secret/night", Listed: true},
			{Identity: "ssh:schedule:secret/night", Listed: true},
			{Identity: "slack:schedule:secret/night", Name: "schedule:secret/night", Listed: true},
		} {
			_, err := h.do(p, ask("secret", "deploy", "a"))
			wantCode(t, err, bellhop.NotAllowed)
		}
		s := &cat.Services[1].Schedules[0]
		if _, err := h.Tick(t.Context(), s, noon.Add(time.Duration(len(cat.Access.People))*time.Hour), 0); err != nil {
			t.Errorf("people %v: the schedule itself may not: %v", peopled, err)
		}
	}
}

func TestWhyOfASchedule(t *testing.T) {
	h := newHouse(t)
	if err := h.Activate(t.Context(), scheduled()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ as, job, want string }{
		{"schedule:secret/night", "deploy", "schedule secret night"},
		{"schedule:secret/night", "other", "no such schedule asks for it"},
		{"schedule:example/night", "deploy", "no such schedule asks for it"},
	} {
		said, err := h.Explain(t.Context(), owner, test.as, ask("secret", test.job, "a"))
		if err != nil || !strings.Contains(said, test.want) {
			t.Errorf("%s %s: %q, %v; want %q", test.as, test.job, said, err, test.want)
		}
	}
}

// TestReportOfASchedule: who is told, and nobody where nobody is named.
func TestReportOfASchedule(t *testing.T) {
	h := newHouse(t)
	cat := scheduled()
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]bellhop.Origin{
		"":            {Source: "schedule"},
		"slack:#ops":  {Source: "slack", Channel: "#ops"},
		"alice":       {},
		"nobody-here": {},
	} {
		s := cat.Services[0].Schedules[0]
		s.ReportTo = to
		id, err := h.Tick(t.Context(), &s, noon.Add(time.Duration(len(to))*time.Second), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.askOf(id).Origin; got != want {
			t.Errorf("with report_to %q the origin is %+v, want %+v", to, got, want)
		}
	}
}

func TestLaterTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	clock := &handClock{}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Admin.Close()
	e := engine.New(engine.Options{Store: store, Bus: &bus.Local{}, Clock: clock})
	cat := catalog()
	cat.Zone = berlin
	e.Browse(cat)
	const form = "2006-01-02 15:04:05 -07"
	for _, test := range []struct{ now, text, want string }{
		{"2026-11-30 12:00:00 +01", "17:30", "2026-11-30 17:30:00 +01"},
		{"2026-11-30 12:00:00 +01", " 1730 ", "2026-11-30 17:30:00 +01"},
		{"2026-11-30 17:30:00 +01", "17:30", "2026-12-01 17:30:00 +01"},
		{"2026-11-30 17:29:59 +01", "17:30", "2026-11-30 17:30:00 +01"},
		{"2026-11-30 12:00:00 +01", "9:05", "2026-12-01 09:05:00 +01"},
		{"2026-11-30 12:00:00 +01", "24:00", "2026-12-01 00:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "tomorrow", "2026-12-01 00:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "tomorrow 06:00", "2026-12-01 06:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "today 13:00", "2026-11-30 13:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "2026-12-24", "2026-12-24 00:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "2026-12-24 18:00", "2026-12-24 18:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "2026-12-24T18:00", "2026-12-24 18:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "20m", "2026-11-30 12:20:00 +01"},
		{"2026-11-30 12:00:00 +01", "1d12h", "2026-12-02 00:00:00 +01"},
		{"2026-11-30 12:00:00 +01", "366d", "2027-12-01 12:00:00 +01"},
		// Clocks go forward at 2027-03-28 02:00, and back at 2026-10-25 03:00.
		{"2027-03-28 01:00:00 +01", "02:30", "2027-03-28 03:30:00 +02"},
		{"2027-03-27 12:00:00 +01", "02:30", "2027-03-28 03:30:00 +02"},
		{"2027-03-28 01:30:00 +01", "1h", "2027-03-28 03:30:00 +02"},
		{"2026-10-25 00:00:00 +02", "02:30", "2026-10-25 02:30:00 +02"},
		{"2026-10-25 02:45:00 +02", "02:30", "2026-10-26 02:30:00 +01"},
		{"2026-10-25 02:45:00 +02", "30m", "2026-10-25 02:15:00 +01"},

		{"2026-11-30 12:00:00 +01", "today", "2026-11-30 00:00 CET is past"},
		{"2026-11-30 12:00:00 +01", "today 11:59", "is past"},
		{"2026-11-30 12:00:00 +01", "2026-11-29 18:00", "is past"},
		{"2026-11-30 12:00:00 +01", "0s", "is past"},
		{"2026-11-30 12:00:00 +01", "2027-12-02", "more than a year ahead"},
		{"2026-11-30 12:00:00 +01", "9000h", "more than a year ahead"},
		{"2026-11-30 12:00:00 +01", "soon", "expected 22:00"},
		{"2026-11-30 12:00:00 +01", "25:00", "expected 22:00"},
		{"2026-11-30 12:00:00 +01", "", "expected 22:00"},
		{"2026-11-30 12:00:00 +01", "now", "expected 22:00"},
	} {
		now, err := time.Parse(form, test.now)
		if err != nil {
			t.Fatal(err)
		}
		clock.set(now)
		at, err := e.LaterTime(test.text)
		if _, fault := time.Parse(form, test.want); fault != nil {
			if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q at %s: %s, %v; want %q", test.text, test.now, at, err, test.want)
			}
			continue
		}
		if got := at.Format(form); got != test.want || err != nil {
			t.Errorf("%q at %s is %s, %v; want %s", test.text, test.now, got, err, test.want)
		}
	}
}

func TestWhoTakesBackAndSees(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Access = bellhop.Access{Peopled: true, People: []bellhop.Member{
		{Name: "alice", Identities: []string{"ssh:alice", "slack:A"}}, {Name: "bob", Identities: []string{"ssh:bob"}}, {Name: "carol", Identities: []string{"ssh:carol"}},
	}, Admins: []bellhop.Rule{{People: []string{"carol"}}}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	l := bellhop.Later{ID: "x", Person: alice}
	for who, allowed := range map[string]bool{"ssh:alice": true, "slack:A": true, "ssh:bob": false, "ssh:guest": false, "ssh:carol": true} {
		p := bellhop.Person{Identity: who, Name: "alice", Listed: true}
		err := h.MayUnschedule(t.Context(), p, l)
		if allowed != (err == nil) || !allowed && bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s takes it back: %v", who, err)
		}
		if h.MaySeeLater(t.Context(), p, l) != allowed {
			t.Errorf("%s sees it: %v", who, !allowed)
		}
	}
}

// TestTicksFollowTheNewestConfiguration: of two servers, the one that
// activated one last has the clock's role, and gives it up again.
func TestTicksFollowTheNewestConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		up := func(name string) *engine.Engine {
			e := engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Minute, Server: name})
			return e
		}
		activate := func(e *engine.Engine, digest string) {
			t.Helper()
			cat := scheduled()
			cat.Digest = digest
			if err := e.Activate(t.Context(), cat); err != nil {
				t.Fatal(err)
			}
		}
		start := func(e *engine.Engine) {
			t.Helper()
			if err := e.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		one, other := up("one"), up("other")
		want := func(when string, a, b bool) {
			t.Helper()
			synctest.Wait()
			if one.Ticking() != a || other.Ticking() != b {
				t.Errorf("%s: one ticks: %v, the other: %v", when, one.Ticking(), other.Ticking())
			}
		}
		activate(one, "v1")
		start(one)
		want("alone", true, false)
		activate(other, "v1")
		start(other)
		time.Sleep(time.Minute)
		want("with the same configuration", true, false)
		activate(other, "v2")
		time.Sleep(11 * time.Second)
		want("the other has a newer one", false, true)
		activate(one, "v2")
		time.Sleep(time.Minute)
		want("both have it", false, true)
		activate(one, "v1")
		time.Sleep(11 * time.Second)
		want("one goes back", true, false)
		activate(one, "v2")
		time.Sleep(11 * time.Second)
		want("and forth", true, false)
		one.Stop()
		time.Sleep(6 * time.Second)
		want("one stops", one.Ticking(), true)
		other.Stop()
	})
}

// TestNobodyHasTheNewestConfiguration: it is said, and nobody else ticks.
func TestNobodyHasTheNewestConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var log strings.Builder
		up := func(name, digest string, to io.Writer) *engine.Engine {
			e := engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Minute, Server: name, Log: slog.New(slog.NewTextHandler(to, nil))})
			cat := scheduled()
			cat.Digest = digest
			if err := e.Activate(t.Context(), cat); err != nil {
				t.Fatal(err)
			}
			if err := e.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			return e
		}
		old := up("old", "v1", &log)
		newer := up("newer", "v2", io.Discard)
		said := func() int {
			synctest.Wait()
			return strings.Count(log.String(), "no schedule is looked at") // nothing writes to it now
		}
		time.Sleep(5 * time.Minute)
		if said() != 0 || old.Ticking() || !newer.Ticking() {
			t.Errorf("both are there: %d, %v, %v", said(), old.Ticking(), newer.Ticking())
		}
		newer.Stop()
		time.Sleep(2 * time.Minute)
		if said() != 1 || old.Ticking() || !strings.Contains(log.String(), "server=newer") {
			t.Errorf("the newer one is gone: %d, %v\n%s", said(), old.Ticking(), log.String())
		}
		time.Sleep(time.Minute)
		if said() != 1 {
			t.Errorf("it is said %d times in three minutes", said())
		}
		old.Stop()
	})
}

// TestScheduleAsData: what a digest or a list shows of a schedule holds no
// place in a file.
func TestScheduleAsData(t *testing.T) {
	s := bellhop.Schedule{Service: "s", Name: "n", Pos: bellhop.Position{File: "a-file.yaml", Line: 1}}
	b, err := json.Marshal(s)
	if err != nil || strings.Contains(string(b), "a-file") {
		t.Errorf("%s, %v", b, err)
	}
}

// TestTokenThatAskedForLater: by what it is when the time comes; and one that is
// confined has no hand in what else its person asked for.
func TestTokenThatAskedForLater(t *testing.T) {
	a := newApprovals(t, nil)
	_, p := a.token(bellhop.Token{Name: "ci", As: "ada", Allow: []string{"site"}, Expires: a.clock.Now().Add(time.Hour)})
	if now, err := a.TokenNow(t.Context(), p.Identity, a.clock.Now()); err != nil || now != p {
		t.Errorf("it is %+v, %v; was %+v", now, err, p)
	}
	if a.MaySeeLater(t.Context(), p, bellhop.Later{ID: "x", Person: opsAda}) {
		t.Error("a token that is confined sees what else its person asked for")
	}
	if !a.MaySeeLater(t.Context(), p, bellhop.Later{ID: "x", Person: p}) {
		t.Error("it does not see its own")
	}
	if _, err := a.TokenNow(t.Context(), p.Identity, a.clock.Now().Add(-time.Second)); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("one that was made since is taken for it: %v", err)
	}
	a.clock.Advance(time.Hour)
	_, err := a.TokenNow(t.Context(), p.Identity, a.clock.Now())
	wantCode(t, err, bellhop.NotAllowed)
	_, p = a.token(bellhop.Token{Name: "again"})
	if err := a.RemoveToken(t.Context(), boss, "again"); err != nil {
		t.Fatal(err)
	}
	_, err = a.TokenNow(t.Context(), p.Identity, a.clock.Now())
	wantCode(t, err, bellhop.NotAllowed)
}
