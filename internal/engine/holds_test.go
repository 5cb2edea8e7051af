package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// built makes an invocation of a built-in command about a job or service.
func built(action bellhop.Action, service, job string) bellhop.Invocation {
	return bellhop.Invocation{Action: action, Service: service, Job: job}
}

// holds has an invocation done that answers with holds.
func (h *house) holds(p bellhop.Person, inv bellhop.Invocation) []bellhop.Hold {
	h.t.Helper()
	a, err := h.do(p, inv)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Holds
}

func suppress(service, job, from, until string) bellhop.Invocation {
	inv := built(bellhop.ActionSuppress, service, job)
	inv.From, inv.Until = from, until
	return inv
}

func TestASuppressionDelaysAndDropsNothing(t *testing.T) {
	h := newHouse(t)
	made := h.holds(alice, suppress("example", "deploy", "", "2h"))
	if len(made) != 1 || made[0].ID == 0 || made[0].By != "alice" || made[0].Kind != bellhop.HoldSuppress || made[0].Until.Sub(made[0].From) != 2*time.Hour {
		t.Fatalf("%+v", made)
	}
	kept := h.run(bob, ask("example", "deploy", "a"))
	if kept.Hold == nil || kept.Hold.ID != made[0].ID {
		t.Errorf("the receipt does not tell of the window: %+v", kept)
	}
	free := h.run(bob, ask("example", "free", "a"))
	if free.Hold != nil {
		t.Errorf("the receipt tells of a window of another job: %+v", free.Hold)
	}
	if c := h.claim(10); len(c) != 1 || c[0].Task.Run != free.Run {
		t.Fatalf("claimed %+v", c)
	}
	why, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionWhy, Run: kept.Run})
	if err != nil || why.Why == nil || why.Why.Wait == nil || why.Why.Wait.Reason != bellhop.WaitSuppressed || !why.Why.Wait.Until.Equal(made[0].Until) {
		t.Errorf("%+v, %v", why.Why, err)
	}
	status, err := h.Status(t.Context(), bob)
	if err != nil || len(status.Holds) != 1 || len(status.Waiting) != 1 || status.Waiting[0].Wait == nil {
		t.Errorf("%+v, %v", status, err)
	}
	end := built(bellhop.ActionUnsuppress, "", "")
	end.Hold = made[0].ID
	if ended := h.holds(bob, end); len(ended) != 1 || ended[0].EndedBy != "bob" || ended[0].Ended.IsZero() {
		t.Errorf("%+v", ended)
	}
	if c := h.claim(10); len(c) != 1 || c[0].Task.Run != kept.Run {
		t.Errorf("once it is over: claimed %+v", c)
	}
	if again := h.run(bob, ask("example", "deploy", "b")); again.Hold != nil {
		t.Errorf("a window that is over is told of: %+v", again.Hold)
	}
}

func TestPauseAndResume(t *testing.T) {
	h := newHouse(t)
	first := h.holds(alice, built(bellhop.ActionPause, "example", ""))
	second := h.holds(bob, built(bellhop.ActionPause, "example", ""))
	if len(first) != 1 || len(second) != 1 || second[0].ID != first[0].ID || second[0].By != "alice" {
		t.Fatalf("paused by %+v, again by %+v; want the one that is there", first, second)
	}
	job := h.holds(bob, built(bellhop.ActionPause, "example", "deploy"))
	if len(job) != 1 || job[0].ID == first[0].ID {
		t.Fatalf("a job of it by itself: %+v", job)
	}
	narrow := built(bellhop.ActionPause, "example", "deploy")
	narrow.Args = bellhop.Args{"env": bellhop.Text("a")}
	if some := h.holds(bob, narrow); some[0].ID == job[0].ID || some[0].Args == nil {
		t.Fatalf("some arguments of it: %+v", some)
	}
	h.run(alice, ask("example", "free", "a"))
	if c := h.claim(10); len(c) != 0 {
		t.Fatalf("claimed %+v", c)
	}
	if all := h.holds(guest, built(bellhop.ActionSuppressions, "", "")); len(all) != 3 {
		t.Errorf("listed: %+v", all)
	}
	if ended := h.holds(bob, built(bellhop.ActionResume, "example", "")); len(ended) != 1 || ended[0].ID != first[0].ID {
		t.Fatalf("resumed %+v, want what was paused as a whole", ended)
	}
	if c := h.claim(10); len(c) != 1 {
		t.Fatalf("claimed %+v", c)
	}
	if ended := h.holds(bob, built(bellhop.ActionResume, "example", "deploy")); len(ended) != 2 {
		t.Errorf("resumed %+v, want both of the job", ended)
	}
	if ended := h.holds(bob, built(bellhop.ActionResume, "example", "deploy")); len(ended) != 0 {
		t.Errorf("resumed %+v, though nothing was paused", ended)
	}
}

// Of several pauses of one job, a number ends one.
func TestResumeByNumber(t *testing.T) {
	h := newHouse(t)
	all := h.holds(alice, built(bellhop.ActionPause, "example", "deploy"))[0]
	narrow := built(bellhop.ActionPause, "example", "deploy")
	narrow.Args = bellhop.Args{"env": bellhop.Text("a")}
	some := h.holds(alice, narrow)[0]
	window := h.holds(alice, suppress("example", "free", "", "2h"))[0]
	resume := func(id int64) bellhop.Invocation {
		return bellhop.Invocation{Action: bellhop.ActionResume, Hold: id}
	}
	if _, err := h.do(guest, resume(some.ID)); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("by a guest: %v", err)
	}
	if _, err := h.do(bob, resume(window.ID)); bellhop.CodeOf(err) != bellhop.Invalid || !strings.HasSuffix(err.Error(), fmt.Sprintf("unsuppress %d", window.ID)) {
		t.Errorf("a window by its number: %v", err)
	}
	if _, err := h.do(bob, resume(999)); bellhop.CodeOf(err) != bellhop.NotFound || !strings.HasPrefix(err.Error(), "there is no pause 999") {
		t.Errorf("no such number: %v", err)
	}
	if ended := h.holds(bob, resume(some.ID)); len(ended) != 1 || ended[0].ID != some.ID || ended[0].EndedBy != "bob" {
		t.Errorf("resumed %+v", ended)
	}
	left := h.holds(alice, built(bellhop.ActionSuppressions, "example", "deploy"))
	if len(left) != 1 || left[0].ID != all.ID {
		t.Errorf("left are %+v, want the pause of the whole job", left)
	}
}

// What is narrowed by arguments that no run can have would keep nothing back.
func TestArgumentsOfHoldsAreChecked(t *testing.T) {
	h := newHouse(t)
	env := func(v bellhop.Value) bellhop.Args { return bellhop.Args{"env": v} }
	for _, tt := range []struct {
		name, job string
		args      bellhop.Args
		want      string // "" = it is done
	}{
		{"its own", "deploy", env(bellhop.Text("a")), ""},
		{"none", "deploy", nil, ""},
		{"a stranger", "deploy", bellhop.Args{"envv": bellhop.Text("a")}, `example deploy has no parameter "envv"; it has: env`},
		{"a stranger beside its own", "deploy", bellhop.Args{"env": bellhop.Text("a"), "z": bellhop.Text("a")}, `example deploy has no parameter "z"`},
		{"a bad value", "deploy", env(bellhop.List("a", "b")), "env expects"},
		{"without a job", "", env(bellhop.Text("a")), "name a job of example"},
	} {
		for _, inv := range []bellhop.Invocation{suppress("example", tt.job, "", "2h"), built(bellhop.ActionPause, "example", tt.job)} {
			inv.Args = tt.args
			a, err := h.do(alice, inv)
			if tt.want == "" && (err != nil || len(a.Holds) != 1) || tt.want != "" && (bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s, %s: %+v, %v; want %q", inv.Action, tt.name, a.Holds, err, tt.want)
			}
		}
	}
}

// Who has nothing to end by a name is told of what it may have been thought to
// mean.
func TestWhatANameDoesNotMeanIsTold(t *testing.T) {
	h := newHouse(t)
	job := h.holds(alice, suppress("example", "deploy", "", "2h"))[0].ID
	other := h.holds(alice, suppress("example", "free", "", "2h"))[0].ID
	narrow := built(bellhop.ActionPause, "example", "deploy")
	narrow.Args = bellhop.Args{"env": bellhop.Text("a")}
	some := h.holds(alice, narrow)[0].ID
	narrow.Action, narrow.Args = bellhop.ActionResume, bellhop.Args{"env": bellhop.Text("b")}
	h.holds(alice, built(bellhop.ActionPause, "secret", ""))
	says := func(inv bellhop.Invocation, want string) {
		t.Helper()
		if _, err := h.do(alice, inv); bellhop.CodeOf(err) != bellhop.Conflict || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	says(built(bellhop.ActionUnsuppress, "example", ""), fmt.Sprintf("example is not suppressed as a whole, but there are: %d (example deploy), %d (example free). One is ended by its number: unsuppress NUMBER", job, other))
	says(narrow, fmt.Sprintf("example deploy is not paused with just these arguments, but there are: %d (example deploy). One is ended by its number: resume NUMBER", some))
	says(built(bellhop.ActionResume, "secret", "deploy"), "secret deploy is not paused by itself, but there are: 4 (secret). One is ended by its number: resume NUMBER")
	if ended := h.holds(alice, built(bellhop.ActionResume, "example", "free")); len(ended) != 0 {
		t.Errorf("%+v, though only other jobs are paused", ended)
	}
	for range 5 {
		h.holds(alice, suppress("example", "free", "", "2h"))
	}
	_, err := h.do(alice, built(bellhop.ActionUnsuppress, "example", ""))
	if err == nil || !strings.Contains(err.Error(), "and 2 more (see: suppressions).") {
		t.Errorf("of many: %v", err)
	}
}

func TestTheSameKeyHoldsOnce(t *testing.T) {
	h := newHouse(t)
	make := suppress("example", "deploy", "", "2h")
	make.Key = "make"
	end := built(bellhop.ActionUnsuppress, "example", "deploy")
	end.Key = "end"
	first := h.holds(alice, make)
	if again := h.holds(alice, make); again[0].ID != first[0].ID {
		t.Errorf("%+v after %+v", again, first)
	}
	ended := h.holds(alice, end)
	if len(ended) != 1 {
		t.Fatalf("%+v", ended)
	}
	if again := h.holds(alice, make); again[0].ID != first[0].ID || again[0].Ended.IsZero() {
		t.Errorf("the same key after it was ended makes %+v", again)
	}
	other := h.holds(alice, suppress("example", "deploy", "", "2h"))
	if again := h.holds(alice, end); len(again) != 1 || again[0].ID != first[0].ID {
		t.Errorf("the same key ends %+v", again)
	}
	if all := h.holds(alice, built(bellhop.ActionSuppressions, "", "")); len(all) != 1 || all[0].ID != other[0].ID {
		t.Errorf("there is left %+v", all)
	}
}

// By a key that was answered with somebody else's pause nothing is paused
// later, when that has ended.
func TestAPauseThatWasThereIsNotMadeLater(t *testing.T) {
	h := newHouse(t)
	h.holds(alice, built(bellhop.ActionPause, "example", "deploy"))
	mine := built(bellhop.ActionPause, "example", "deploy")
	mine.Key = "mine"
	for range 2 {
		if got := h.holds(bob, mine); len(got) != 1 || got[0].By != "alice" {
			t.Fatalf("%+v", got)
		}
	}
	h.holds(alice, built(bellhop.ActionResume, "example", "deploy"))
	if got, err := h.do(bob, mine); err == nil {
		t.Errorf("paused anew: %+v", got)
	}
	if all := h.holds(bob, built(bellhop.ActionSuppressions, "", "")); len(all) != 0 {
		t.Errorf("there is %+v", all)
	}
}

func TestWhoMayHold(t *testing.T) {
	h := newHouse(t)
	there := h.holds(alice, suppress("secret", "deploy", "", "2h"))[0]
	byNumber := built(bellhop.ActionUnsuppress, "", "")
	byNumber.Hold = there.ID
	asEntry := func(inv bellhop.Invocation) bellhop.Invocation { inv.Entry = "e"; return inv }
	gone := byNumber
	gone.Hold = 999
	tests := []struct {
		name string
		who  bellhop.Person
		inv  bellhop.Invocation
		want bellhop.Code // "" = it is done
	}{
		{"a guest, built in", guest, suppress("example", "deploy", "", "2h"), bellhop.NotAllowed},
		{"a guest, by an entry", guest, asEntry(suppress("example", "deploy", "", "2h")), ""},
		{"a guest, by an entry of a restricted service", guest, asEntry(suppress("secret", "deploy", "", "2h")), bellhop.NotAllowed},
		{"a guest pauses", guest, built(bellhop.ActionPause, "example", ""), bellhop.NotAllowed},
		{"a guest resumes", guest, built(bellhop.ActionResume, "example", ""), bellhop.NotAllowed},
		{"a guest ends one of a restricted service by its number", guest, byNumber, bellhop.NotAllowed},
		{"no such service", alice, built(bellhop.ActionPause, "nothing", ""), bellhop.NotFound},
		{"no such job", alice, built(bellhop.ActionPause, "example", "nothing"), bellhop.NotFound},
		{"no such number", alice, gone, bellhop.NotFound},
		{"a time that can't be read", alice, suppress("example", "", "", "whenever"), bellhop.Invalid},
		{"what is not in the configuration any more is let go", alice, built(bellhop.ActionResume, "removed", "job"), ""},
		{"its number", alice, byNumber, ""},
	}
	for _, tt := range tests {
		if _, err := h.do(tt.who, tt.inv); bellhop.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	pause := h.holds(alice, built(bellhop.ActionPause, "example", "deploy"))[0]
	byNumber.Hold = pause.ID
	if _, err := h.do(alice, byNumber); bellhop.CodeOf(err) != bellhop.Invalid || !strings.HasSuffix(err.Error(), fmt.Sprintf("resume %d", pause.ID)) {
		t.Errorf("a pause by its number: %v", err)
	}
	_, err := h.Do(t.Context(), bellhop.Invocation{Action: bellhop.ActionPause, Service: "example", Person: alice})
	wantCode(t, err, bellhop.Invalid)
}

func TestTimesAreInTheZoneOfTheConfiguration(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Zone = time.FixedZone("far", 11*3600+1800)
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	made := h.holds(alice, suppress("example", "", "", "tomorrow"))[0]
	if at := made.Until.In(cat.Zone); at.Hour() != 0 || at.Minute() != 0 {
		t.Errorf("until the end of tomorrow is %s there", at)
	}
}

func TestArgumentsOfHoldsAreHidden(t *testing.T) {
	h := newHouse(t)
	inv := built(bellhop.ActionPause, "secret", "deploy")
	inv.Args = bellhop.Args{"env": bellhop.Text("production")}
	h.holds(alice, inv)
	h.run(alice, ask("secret", "deploy", "production"))
	status, err := h.Status(t.Context(), guest)
	if err != nil || len(status.Holds) != 1 || status.Holds[0].Args != nil {
		t.Errorf("a guest's status shows %+v, %v", status, err)
	}
	runs, err := h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Wait == nil || runs[0].Wait.Hold == nil || runs[0].Wait.Hold.Args != nil {
		t.Errorf("a guest's list shows %+v, %v", runs, err)
	}
	if all := h.holds(guest, built(bellhop.ActionSuppressions, "", "")); len(all) != 1 || all[0].Args != nil {
		t.Errorf("a guest's suppressions are %+v", all)
	}
	if all := h.holds(bob, built(bellhop.ActionSuppressions, "secret", "deploy")); len(all) != 1 || all[0].Args == nil {
		t.Errorf("bob's are %+v", all)
	}
}

func TestAnotherConfigurationIsTold(t *testing.T) {
	h := newHouse(t)
	mine := catalog()
	mine.Digest = "mine"
	if err := h.Activate(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Status(t.Context(), alice); err != nil || s.Config != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := h.store.Cluster.Activate(t.Context(), bellhop.Activation{Digest: "theirs", Server: "there-2", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Status(t.Context(), alice); err != nil || s.Config == nil || s.Config.Server != "there-2" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestReject(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Services[0].Entries = []bellhop.Entry{{Service: "example", Job: "deploy", OnRepeat: bellhop.OnRepeatReject}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	want := func(inv bellhop.Invocation, says string) {
		t.Helper()
		inv.OnRepeat = bellhop.OnRepeatReject
		_, err := h.do(bob, inv)
		if e := new(bellhop.Error); !errors.As(err, &e) || e.Code != bellhop.Conflict || !strings.Contains(e.Message, says) {
			t.Errorf("%v, want Conflict with %q", err, says)
		}
	}
	queued := ask("example", "deploy", "a")
	queued.OnRepeat = bellhop.OnRepeatQueue
	first := h.run(alice, queued).Run
	twice := ask("example", "deploy", "a")
	twice.Key = "twice"
	want(twice, "not accepted: "+first.String()+", for alice, does the same (example deploy) and waits")
	c := h.claim(1)[0]
	want(ask("example", "deploy", "a"), "has been running since")
	other := ask("example", "deploy", "b")
	other.OnRepeat = bellhop.OnRepeatReject
	if a := h.run(bob, other); a.How != bellhop.Created {
		t.Errorf("other arguments: %+v", a)
	}
	h.finish(c, bellhop.EndSucceeded)
	want(twice, "has ended since")
	last := ask("example", "deploy", "a")
	last.OnRepeat = bellhop.OnRepeatReject
	made := h.run(bob, last)
	if made.How != bellhop.Created {
		t.Errorf("once it has ended: %+v", made)
	}
	if joined := h.run(alice, ask("example", "deploy", "a")); joined.How != bellhop.Merged || joined.Run != made.Run {
		t.Errorf("an ask that merges does not join it: %+v", joined)
	}
	wrong := ask("example", "deploy", "a")
	wrong.OnRepeat = "sometimes"
	_, err := h.do(bob, wrong)
	wantCode(t, err, bellhop.Invalid)
}

func TestQueueMakesARunEachTime(t *testing.T) {
	h := newHouse(t)
	inv := ask("example", "deploy", "a")
	inv.OnRepeat = bellhop.OnRepeatQueue
	first, second := h.run(alice, inv), h.run(alice, inv)
	if second.How != bellhop.Created || second.Run == first.Run || second.Behind != first.Run {
		t.Errorf("%+v after %+v", second, first)
	}
	if third := h.run(alice, ask("example", "deploy", "a")); third.How != bellhop.Created {
		t.Errorf("an ask that merges joined a run that is not to be joined: %+v", third)
	}
}

func TestPriorities(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Services[0].Jobs[1].Priority = 5
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	zero, nine := 0, 9
	var ids []bellhop.RunID
	for i, p := range []*int{&zero, nil, &nine} {
		inv := ask("example", "free", string(rune('a'+i)))
		inv.Priority = p
		ids = append(ids, h.run(alice, inv).Run)
	}
	for _, i := range []int{2, 1, 0} {
		if c := h.claim(1); len(c) != 1 || c[0].Task.Run != ids[i] {
			t.Errorf("claimed %+v, want %s", c, ids[i])
		}
	}
}

// Of several windows that overlap, receipts and `why` name the open one that
// lasts longest, and the next one when that is taken back.
func TestTheOpenHoldThatLastsLongestIsNamed(t *testing.T) {
	h := newHouse(t)
	short := h.holds(alice, suppress("example", "deploy", "", "20m"))[0]
	long := h.holds(alice, suppress("example", "", "", "30m"))[0]
	later := h.holds(alice, suppress("example", "", "10m", "10h"))[0]
	named := func(env string, want bellhop.Hold, more int) {
		t.Helper()
		got := h.run(bob, ask("example", "deploy", env))
		if got.Hold == nil || got.Hold.ID != want.ID {
			t.Errorf("the receipt names %+v, want %d", got.Hold, want.ID)
		}
		r, err := h.Run(t.Context(), bob, got.Run)
		if err != nil || r.Wait == nil || r.Wait.Hold == nil || r.Wait.Hold.ID != want.ID || r.Wait.More != more || !r.Wait.Until.Equal(want.Until) {
			t.Errorf("it waits for %+v, %v; want %d and %d more", r.Wait, err, want.ID, more)
		}
	}
	end := func(hold bellhop.Hold) {
		inv := built(bellhop.ActionUnsuppress, "", "")
		inv.Hold = hold.ID
		h.holds(alice, inv)
	}
	named("a", long, 1)
	pause := h.holds(alice, built(bellhop.ActionPause, "example", "deploy"))[0]
	named("b", pause, 2)
	h.holds(alice, built(bellhop.ActionResume, "example", "deploy"))
	end(long)
	named("c", short, 0)
	end(short)
	delayed := ask("example", "deploy", "d")
	delayed.Delay = time.Hour
	if got := h.run(bob, delayed); got.Hold == nil || got.Hold.ID != later.ID {
		t.Errorf("the receipt does not tell of the window in which it could start: %+v", got.Hold)
	} else if r, err := h.Run(t.Context(), bob, got.Run); err != nil || r.Wait == nil || r.Wait.Reason != bellhop.WaitDelay {
		t.Errorf("until that has begun, it waits for %+v, %v; want its delay", r.Wait, err)
	}
}
