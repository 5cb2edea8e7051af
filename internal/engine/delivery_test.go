package engine_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// hooked is a house whose service site has a webhook, and that knows a secret.
func hooked(t *testing.T) *approvals {
	a := newApprovals(t, nil)
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: &bus.Local{}, Clock: a.clock, AuditKey: make([]byte, bellhop.AuditKeySize),
		Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }})
	a.activate(func(cat *bellhop.Catalog) {
		cat.Services[0].Webhooks = []bellhop.Webhook{{Service: "site", Name: "merged", Named: true, Job: "deploy", OnRepeat: bellhop.OnRepeatMerge, Delay: time.Minute}}
	})
	return a
}

func (a *approvals) keep(list ...bellhop.Delivery) {
	a.t.Helper()
	for i := range list {
		list[i].Size = len(list[i].Body)
	}
	if err := a.KeepDeliveries(a.t.Context(), "site", "merged", list); err != nil {
		a.t.Fatal(err)
	}
}

func (a *approvals) deliveries() []bellhop.Delivery {
	a.t.Helper()
	list, err := a.Deliveries(a.t.Context(), boss, "site", "merged")
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

func TestTheLastHundredDeliveriesAreKept(t *testing.T) {
	a := hooked(t)
	for i := range 23 {
		batch := make([]bellhop.Delivery, 7)
		for j := range batch {
			batch[j] = bellhop.Delivery{ID: fmt.Sprint(i*7 + j + 1), Body: []byte("{}"), At: a.clock.Now()}
		}
		a.keep(batch...)
	}
	list := a.deliveries()
	if len(list) != 100 || list[0].N != 161 || list[99].N != 62 {
		t.Fatalf("%d deliveries, from %d", len(list), list[0].N)
	}
	for i, d := range list {
		if d.N != int64(161-i) || d.ID != fmt.Sprint(d.N) || d.Body != nil || d.Size != 2 {
			t.Errorf("at %d: %+v", i, d)
		}
	}
	if d, w, err := a.Delivery(t.Context(), boss, "site", "merged", 62); err != nil || string(d.Body) != "{}" || w.Job != "deploy" || d.DeliveryID() != "site/merged/62" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, n := range []int64{0, 61, 162, 1 << 40} {
		if _, _, err := a.Delivery(t.Context(), boss, "site", "merged", n); bellhop.CodeOf(err) != bellhop.NotFound {
			t.Errorf("number %d: %v", n, err)
		}
	}
	a.clock.Advance(366 * 24 * time.Hour)
	if list := a.deliveries(); len(list) > 0 {
		t.Errorf("a year later: %d", len(list))
	}
	if err := a.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.clock.Advance(-366 * 24 * time.Hour)
	if list := a.deliveries(); len(list) > 0 {
		t.Errorf("what has expired is still in the store: %d", len(list))
	}
}

// TestServersNumberDeliveriesTogether: none of them writes over another's.
func TestServersNumberDeliveriesTogether(t *testing.T) {
	a := hooked(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				if err := a.KeepDeliveries(t.Context(), "site", "merged", []bellhop.Delivery{{ID: "x"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if list := a.deliveries(); len(list) != 20 || list[0].N != 20 {
		t.Errorf("%d deliveries", len(list))
	}
}

func TestWhatIsKeptOfADelivery(t *testing.T) {
	a := hooked(t)
	long := strings.Repeat("x", 128<<10)
	a.keep(
		bellhop.Delivery{Body: []byte(`{"password":"hunter22"}`), Error: "no hunter22", ID: "hunter22"},
		bellhop.Delivery{Body: []byte(long)},
		bellhop.Delivery{Body: []byte(long + "y")},
		bellhop.Delivery{Body: []byte(long[:len(long)-3] + "hunter22")},
		bellhop.Delivery{Body: []byte("\xff\x00"), Header: map[string]string{"X-Id": strings.Repeat("h", 300)}},
	)
	for i, want := range []struct {
		body      string
		replay    bool
		cut, mask bool
	}{{`{"password":"***"}`, false, false, true}, {long, true, false, false}, {long, false, true, false}, {long[:len(long)-3] + "***", false, false, true}, {"\xff\x00", true, false, false}} {
		d, _, err := a.Delivery(t.Context(), boss, "site", "merged", int64(i+1))
		if err != nil || string(d.Body) != want.body || d.Cut != want.cut || d.Masked != want.mask || (d.Replayable() == nil) != want.replay {
			t.Errorf("%d: %.40q cut %v masked %v: %v, %v", i, d.Body, d.Cut, d.Masked, d.Replayable(), err)
		}
		if i == 0 && (d.Error != "no ***" || d.ID != "***") {
			t.Errorf("it says %q, %q", d.Error, d.ID)
		}
		if i == 2 && (d.Size != len(long)+1 || !strings.Contains(d.Replayable().Error(), "131073 bytes")) {
			t.Errorf("%d bytes; %v", d.Size, d.Replayable())
		}
		if i == 4 && len(d.Header["X-Id"]) > 210 {
			t.Errorf("a header of %d bytes", len(d.Header["X-Id"]))
		}
	}
}

// TestWhoSeesDeliveries: an admin, and who may have the job done whatever its
// arguments are.
func TestWhoSeesDeliveries(t *testing.T) {
	a := hooked(t)
	a.keep(bellhop.Delivery{Body: []byte("{}")})
	guest := bellhop.Person{Identity: "api:guest"}
	_, other := a.token(bellhop.Token{Name: "other", As: "ada"})
	sees := func(p bellhop.Person, want bool) {
		t.Helper()
		_, err := a.Deliveries(t.Context(), p, "site", "merged")
		_, _, one := a.Delivery(t.Context(), p, "site", "merged", 1)
		if (err == nil) != want || (one == nil) != want || !want && (bellhop.CodeOf(err) != bellhop.NotAllowed || bellhop.CodeOf(one) != bellhop.NotAllowed) {
			t.Errorf("%s: %v, %v", p.Identity, err, one)
		}
		if _, err := a.Deliveries(t.Context(), p, "site", "nosuch"); want != (bellhop.CodeOf(err) == bellhop.NotFound) {
			t.Errorf("%s is told of another: %v", p.Identity, err)
		}
	}
	sees(boss, true)
	sees(opsAda, true)
	sees(other, true)
	a.activate(func(cat *bellhop.Catalog) {
		cat.Services[0].Allow = []bellhop.Rule{{People: []string{"ada"}, When: map[string][]string{"env": {"staging"}}}, {People: []string{"bea"}}}
		cat.Services[0].Webhooks = []bellhop.Webhook{{Service: "site", Name: "merged", Named: true, Job: "deploy"}}
	})
	sees(opsAda, false) // another environment's may be among them
	sees(opsBea, true)
	sees(guest, false)
	if got := a.WebhooksFor(t.Context(), opsAda); len(got) != 1 || got[0].Path != "/webhooks/site/merged" {
		t.Errorf("ada is shown %+v", got)
	}
	if got := a.WebhooksFor(t.Context(), guest); len(got) != 0 {
		t.Errorf("a guest is shown %+v", got)
	}
}

// TestGuestsSeeNoDeliveries, though everybody may have the job done.
func TestGuestsSeeNoDeliveries(t *testing.T) {
	a := hooked(t)
	a.keep(bellhop.Delivery{Body: []byte("{}")})
	a.activate(func(cat *bellhop.Catalog) {
		cat.Services[0].Restricted, cat.Services[0].Allow = false, nil
		cat.Services[0].Webhooks = []bellhop.Webhook{{Service: "site", Name: "merged", Named: true, Job: "deploy"}}
	})
	guest := bellhop.Person{Identity: "api:guest"}
	if !a.SeesJob(t.Context(), guest, "site", "deploy") {
		t.Fatal("the job is not open to everybody")
	}
	_, err := a.Deliveries(t.Context(), guest, "site", "merged")
	_, _, one := a.Delivery(t.Context(), guest, "site", "merged", 1)
	if bellhop.CodeOf(err) != bellhop.NotAllowed || bellhop.CodeOf(one) != bellhop.NotAllowed {
		t.Errorf("a guest is shown what was posted: %v, %v", err, one)
	}
}

// TestAReplayIsAskedForByWhoWantsIt: in their name, judged as ever, a run of its
// own, and the trail says of what.
func TestAReplayIsAskedForByWhoWantsIt(t *testing.T) {
	a := hooked(t)
	a.keep(bellhop.Delivery{Body: []byte("{}")})
	d, w, err := a.Delivery(t.Context(), opsAda, "site", "merged", 1)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[bellhop.RunID]bool{}
	for range 2 {
		inv, err := a.HookFor(w, &d, bellhop.Args{"env": bellhop.Text("staging")})
		if err != nil {
			t.Fatal(err)
		}
		ids[a.run(opsAda, inv).Run] = true
	}
	if len(ids) != 2 {
		t.Errorf("two replays are the runs %v", ids)
	}
	if rec := a.last(); rec.Principal != "ada" || rec.Detail != "replay of delivery site/merged/1" || rec.Run == 0 || !rec.Allowed {
		t.Errorf("the trail ends with %+v", rec)
	}
	if _, err := a.HookFor(w, &d, bellhop.Args{"nosuch": bellhop.Text("x")}); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("an argument that the job does not have: %v", err)
	}
}
