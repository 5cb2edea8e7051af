package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// A run that somebody was told is being stopped does not run again, however
// its attempt ends.
func TestWhatIsBeingCancelledDoesNotRunAgain(t *testing.T) {
	for _, tt := range []struct {
		job string
		end bellhop.End
	}{
		{"deploy", bellhop.EndInterrupted}, {"deploy", bellhop.EndCrashed}, {"stubborn", bellhop.EndFailed},
	} {
		t.Run(string(tt.end), func(t *testing.T) {
			h := newHouse(t)
			id := h.run(alice, ask("example", tt.job, "a")).Run
			c := h.claim(1)[0]
			if got, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id}); err != nil || got.Cancelled[0].Effect != bellhop.CancelStopping {
				t.Fatalf("%+v, %v", got, err)
			}
			h.finish(c, tt.end)
			if r := h.get(id); r.State != bellhop.Cancelled || r.Verdict != bellhop.Aborted || r.Error != "cancelled by bob" {
				t.Errorf("%s, %s, %q", r.State, r.Verdict, r.Error)
			}
			rows, err := h.store.Outbox.Unread(t.Context(), "", "s-alice", 10)
			if err != nil || len(rows) != 1 || rows[0].Kind != bellhop.ReportOutcome {
				t.Errorf("alice is told %+v, %v", rows, err)
			}
		})
	}
}

func TestBackoffNeverOverflows(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Services[0].Jobs[0].Retries = bellhop.Retries{Max: 40, Backoff: time.Hour}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	id := h.run(alice, ask("example", "deploy", "a")).Run
	for n := range 40 {
		c := h.claimAt(h.get(id).Start)
		before := time.Now()
		h.finish(c, bellhop.EndFailed)
		if wait := h.get(id).Start.Sub(before); wait < time.Hour || wait > 67*time.Minute {
			t.Fatalf("after failure %d it waits %s, want an hour and a little", n+1, wait)
		}
	}
}

// forgetful has lost the definitions of some jobs.
type forgetful struct {
	bellhop.Definitions
	lost string // digest
	err  error
}

func (f forgetful) Definition(ctx context.Context, digest string) (bellhop.Job, error) {
	if digest == f.lost {
		return bellhop.Job{}, f.err
	}
	return f.Definitions.Definition(ctx, digest)
}

func TestOneDamagedRunHoldsUpNoOther(t *testing.T) {
	for _, code := range []bellhop.Code{bellhop.NotFound, bellhop.Internal} {
		t.Run(string(code), func(t *testing.T) {
			h := newHouse(t)
			damaged := h.run(alice, ask("example", "free", "a")).Run
			healthy := h.run(alice, ask("example", "keyed", "b")).Run
			runs, _, err := h.store.Queue.Claim(t.Context(), bellhop.ClaimRequest{Runner: "gone", N: 2, Now: time.Now(), Lease: time.Nanosecond})
			if err != nil || len(runs) != 2 {
				t.Fatal(runs, err)
			}
			h.store.Definitions = forgetful{h.store.Definitions, h.get(damaged).Digest, bellhop.Errorf(code, "no such definition")}
			fresh := engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}})
			if err := fresh.Activate(t.Context(), catalog()); err != nil {
				t.Fatal(err)
			}
			err = fresh.Reap(t.Context())
			if r := h.get(healthy); r.State != bellhop.Waiting {
				t.Errorf("the healthy run is %s", r.State)
			}
			if code == bellhop.Internal {
				if err == nil || h.get(damaged).State != bellhop.Running {
					t.Errorf("the damaged run is %s, %v; want it left for the next look, and said", h.get(damaged).State, err)
				}
				return
			}
			if err != nil {
				t.Error(err)
			}
			if _, _, err := fresh.Claim(t.Context(), "r", 10); err != nil {
				t.Error(err)
			}
			if r := h.get(damaged); r.State != bellhop.Failed || !strings.Contains(r.Error, "definition") {
				t.Errorf("the damaged run is %s: %q", r.State, r.Error)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	h := newHouse(t)
	// A waiting run goes at once, and is reported.
	id := h.run(alice, ask("example", "deploy", "a")).Run
	got, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelDone {
		t.Fatalf("%+v, %v", got, err)
	}
	if r := h.get(id); r.State != bellhop.Cancelled || r.Verdict != bellhop.Aborted || !strings.Contains(r.Error, "bob") {
		t.Errorf("%+v", r)
	}
	got, err = h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelTooLate {
		t.Errorf("again: %+v, %v", got, err)
	}
	// A running one is asked to stop.
	id = h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	got, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelStopping {
		t.Fatalf("%+v, %v", got, err)
	}
	ext, err := h.Extend(t.Context(), []bellhop.LeaseRef{ref(c)})
	if err != nil || ext[0].Stop == nil || ext[0].Stop.End != bellhop.EndCancelled {
		t.Fatalf("%+v, %v", ext, err)
	}
	// `action: cancel` leaves the running one alone, unless told.
	id2 := h.run(alice, ask("example", "deploy", "b")).Run
	got, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancel, Service: "example", Job: "deploy"})
	if err != nil || len(got.Cancelled) != 1 || got.Cancelled[0].Run != id2 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = h.do(guest, bellhop.Invocation{Action: bellhop.ActionCancel, Service: "secret", Job: "deploy"})
	wantCode(t, err, bellhop.NotAllowed)
}

func TestRetry(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	_, err := h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	wantCode(t, err, bellhop.Conflict)
	h.finish(h.claim(1)[0], bellhop.EndFailed)
	again := h.run(bob, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	if r := h.get(again.Run); again.Run == id || r.RetryOf != id || r.AskedBy != "bob" || r.Args["env"].Text != "a" {
		t.Errorf("%+v", r)
	}
	changed := catalog()
	changed.Services[0].Jobs[0].Params = append(changed.Services[0].Jobs[0].Params, bellhop.Param{Name: "sha", Type: bellhop.TypeString})
	if err := h.Activate(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	_, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	wantCode(t, err, bellhop.Conflict)
	_, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 999})
	wantCode(t, err, bellhop.NotFound)
}

func TestRetryWithOtherArguments(t *testing.T) {
	h := newHouse(t)
	cat := catalog()
	cat.Services[0].Jobs[0].Params = append(cat.Services[0].Jobs[0].Params,
		bellhop.Param{Name: "count", Type: bellhop.TypeInt, Default: &bellhop.Value{Text: "1"}},
		bellhop.Param{Name: "hosts", Type: bellhop.TypeList, Default: &bellhop.Value{List: []string{}}})
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	inv := ask("example", "deploy", "a")
	inv.Args["count"], inv.Args["hosts"] = bellhop.Text("2"), bellhop.List("x")
	id := h.run(alice, inv).Run
	h.finish(h.claim(1)[0], bellhop.EndFailed)
	with := func(name, value string) bellhop.Invocation {
		return bellhop.Invocation{Action: bellhop.ActionRetry, Run: id, Args: bellhop.Args{name: bellhop.Text(value)}}
	}
	again := h.get(h.run(bob, with("count", "3")).Run)
	if want := (bellhop.Args{"env": bellhop.Text("a"), "count": bellhop.Text("3"), "hosts": bellhop.List("x")}); !again.Args.Equal(want) || again.RetryOf != id {
		t.Errorf("%+v, want %v", again, want)
	}
	if got := h.get(h.run(bob, with("hosts", "y z")).Run).Args["hosts"]; !got.Equal(bellhop.List("y", "z")) {
		t.Errorf("a list, as people write one: %v", got)
	}
	for name, tt := range map[string]struct {
		inv  bellhop.Invocation
		want string
	}{
		"an unknown name": {with("nothing", "1"), "has no parameter \"nothing\"; it has: env, count, hosts"},
		"a bad value":     {with("count", "many"), "count expects a whole number"},
	} {
		_, err := h.do(bob, tt.inv)
		if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want Invalid with %q", name, err, tt.want)
		}
	}
	// A value can make good what the job's new definition asks for.
	cat = catalog()
	cat.Services[0].Jobs[0].Params = []bellhop.Param{{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging"}}, {Name: "count", Type: bellhop.TypeInt}, {Name: "hosts", Type: bellhop.TypeList}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	_, err := h.do(bob, with("count", "3"))
	wantCode(t, err, bellhop.Conflict)
	if _, err := h.do(bob, with("env", "staging")); err != nil {
		t.Error(err)
	}
}
