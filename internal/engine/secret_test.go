package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/mask"
	"github.com/bellhop-io/bellhop/internal/secret"
)

// sealedHouse is an engine with a vault, a trail and a mask; its jobs name
// secrets.
func sealedHouse(t *testing.T, change func(*engine.Options)) (*house, *secret.Vault, *mask.Set) {
	t.Helper()
	h := newHouse(t)
	v, err := secret.Open(t.Context(), secret.Options{Store: h.store.Secrets, Values: h.store.Values, Home: t.TempDir(), Getenv: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	key, err := v.AuditKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var hidden mask.Set
	o := engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Minute, AuditKey: key, Vault: v, Mask: hidden.Text}
	if change != nil {
		change(&o)
	}
	h.Engine = engine.New(o)
	cat := catalog()
	cat.Services[0].Jobs = append(cat.Services[0].Jobs, job("example", "sealed", func(j *bellhop.Job) {
		j.Concurrency = 0
		j.Env = map[string]string{"TOKEN": "secret:token", "AGAIN": "secret:token", "OTHER": "secret:other", "PLAIN": "x"}
	}), job("example", "held", func(j *bellhop.Job) {
		j.Approve = &bellhop.Approve{By: []string{"bob"}, Count: 1, Within: time.Hour}
	}))
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	return h, v, &hidden
}

func set(t *testing.T, v *secret.Vault, secrets map[string]string) {
	t.Helper()
	for name, value := range secrets {
		if _, err := v.Set(t.Context(), name, value, "alice"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARunIsGivenTheSecretsItsJobNames(t *testing.T) {
	h, v, _ := sealedHouse(t, nil)
	set(t, v, map[string]string{"token": "hunter2x", "other": "hunter3x", "third": "hunter4x"})
	id := h.run(alice, ask("example", "sealed", "a")).Run
	h.run(alice, ask("example", "free", "a"))
	claims := h.claim(10)
	if len(claims) != 2 {
		t.Fatalf("%d claims", len(claims))
	}
	for _, c := range claims {
		got := slices.Sorted(maps.Values(c.Task.Secrets))
		if want := map[bool]string{true: "hunter2x hunter3x", false: ""}[c.Task.Run == id]; strings.Join(got, " ") != want {
			t.Errorf("%s is given %q", c.Task.Job.Name, got)
		}
	}
	def, err := h.store.Definitions.Definition(t.Context(), h.get(id).Digest)
	if text, _ := json.Marshal(def); err != nil || strings.Contains(string(text), "hunter") || !strings.Contains(string(text), "secret:token") {
		t.Errorf("the definition is %s, %v", text, err)
	}
	recs, _, err := h.store.Audit.Records(t.Context(), bellhop.AuditFilter{Run: id})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(recs, func(r bellhop.AuditRecord) bool { return r.Action == bellhop.AuditReveal })
	if i < 0 || recs[i].Detail != "other, token" || recs[i].Principal != "alice" || recs[i].Job != "sealed" || !recs[i].Allowed {
		t.Errorf("the trail has %+v", recs)
	}
	if n := len(reveals(t, h)); n != 1 {
		t.Errorf("%d records of secrets, want 1: a run without any is none", n)
	}
}

func reveals(t *testing.T, h *house) (out []bellhop.AuditRecord) {
	t.Helper()
	recs, _, err := h.store.Audit.Records(t.Context(), bellhop.AuditFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if r.Action == bellhop.AuditReveal {
			out = append(out, r)
		}
	}
	return out
}

func TestAMissingSecretEndsItsRun(t *testing.T) {
	h, v, _ := sealedHouse(t, nil)
	set(t, v, map[string]string{"other": "hunter3x"})
	id := h.run(alice, ask("example", "sealed", "a")).Run
	other := h.run(alice, ask("example", "free", "a")).Run
	if claims := h.claim(10); len(claims) != 1 || claims[0].Task.Run != other {
		t.Errorf("claimed %+v", claims)
	}
	r := h.get(id)
	if r.State != bellhop.Failed || r.Verdict != bellhop.Broken || !strings.Contains(r.Error, "there is no secret token; set it: bellhop secret set token") {
		t.Errorf("it is %s %s: %s", r.State, r.Verdict, r.Error)
	}
	if got := reveals(t, h); len(got) != 0 {
		t.Errorf("the trail has %+v", got)
	}
}

// vaultFunc is a vault that does as a test says.
type vaultFunc func(names []string) (map[string]string, error)

func (f vaultFunc) Reveal(_ context.Context, names []string) (map[string]string, error) {
	return f(names)
}

func TestSecretsThatCantBeReadNow(t *testing.T) {
	h, _, _ := sealedHouse(t, func(o *engine.Options) {
		o.Vault = vaultFunc(func([]string) (map[string]string, error) {
			return nil, bellhop.Errorf(bellhop.Unavailable, "the store is away")
		})
	})
	id := h.run(alice, ask("example", "sealed", "a")).Run
	if claims := h.claim(1); len(claims) != 0 {
		t.Errorf("claimed %+v", claims)
	}
	if r := h.get(id); r.State != bellhop.Running { // until its lease ends
		t.Errorf("it is %s: %s", r.State, r.Error)
	}
}

func TestWithoutAVaultNoSecretIsGiven(t *testing.T) {
	h, _, _ := sealedHouse(t, func(o *engine.Options) { o.Vault = nil })
	id := h.run(alice, ask("example", "sealed", "a")).Run
	if claims := h.claim(1); len(claims) != 0 || h.get(id).State != bellhop.Failed {
		t.Errorf("claimed %+v; it is %s", claims, h.get(id).State)
	}
}

// noTrail is a trail that takes no more.
type noTrail struct {
	bellhop.Audit
	full *bool
}

func (n noTrail) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	if *n.full {
		return errors.New("the disk is full")
	}
	return n.Audit.Append(ctx, recs)
}

func TestWhatCantBeRecordedIsNotGiven(t *testing.T) {
	full := false
	h, v, _ := sealedHouse(t, func(o *engine.Options) {
		s := *o.Store
		s.Audit = noTrail{s.Audit, &full}
		o.Store = &s
	})
	set(t, v, map[string]string{"token": "hunter2x", "other": "hunter3x"})
	h.run(alice, ask("example", "sealed", "a"))
	other := h.run(alice, ask("example", "free", "a")).Run
	full = true
	if claims := h.claim(10); len(claims) != 1 || claims[0].Task.Run != other {
		t.Errorf("claimed %+v", claims)
	}
}

// TestArgumentsAreMasked: somebody types a secret where everybody may look.
func TestArgumentsAreMasked(t *testing.T) {
	h, _, hidden := sealedHouse(t, nil)
	hidden.Replace([]string{"hunter2x"})
	a, err := h.do(alice, ask("example", "deploy", "hunter2x"))
	if err != nil {
		t.Fatal(err)
	}
	id := a.Accepted.Run
	a, err = h.do(alice, ask("example", "held", "hunter2x"))
	if err != nil {
		t.Fatal(err)
	}
	held := a.Accepted.Run
	inv := bellhop.Invocation{Action: bellhop.ActionSuppress, Service: "example", Job: "free", Args: bellhop.Args{"env": bellhop.Text("hunter2x")}, Until: "1h"}
	suppressed, err := h.do(alice, inv)
	if err != nil {
		t.Fatal(err)
	}
	waits, err := h.do(alice, ask("example", "free", "hunter2x"))
	if err != nil {
		t.Fatal(err)
	}
	c := h.claim(1)[0]
	if c.Task.Args["env"].Text != "hunter2x" {
		t.Errorf("the job is given %q", c.Task.Args["env"].Text)
	}
	if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndFailed, Error: "it said hunter2x", Warnings: []string{"mind hunter2x"}}, nil); err != nil {
		t.Fatal(err)
	}
	denied, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionDeny, Run: held, Reason: "no hunter2x"})
	if err != nil {
		t.Fatal(err)
	}
	one, err := h.Run(t.Context(), alice, id)
	if err != nil {
		t.Fatal(err)
	}
	seen := []any{suppressed, waits, denied, one}
	for _, action := range []bellhop.Action{bellhop.ActionRuns, bellhop.ActionStatus, bellhop.ActionSuppressions, bellhop.ActionWhy} {
		got, err := h.do(alice, bellhop.Invocation{Action: action, Run: waits.Accepted.Run})
		if err != nil {
			t.Fatal(action, err)
		}
		seen = append(seen, got)
	}
	recs, _, err := h.store.Audit.Records(t.Context(), bellhop.AuditFilter{Limit: 1000})
	if err != nil || len(recs) < 5 {
		t.Fatal(recs, err)
	}
	for _, v := range append(seen, recs) {
		text, err := json.Marshal(v)
		all := string(text) + fmt.Sprintf("%+v", v)
		if err != nil || strings.Contains(all, "hunter2x") || !strings.Contains(all, mask.Stars) {
			t.Errorf("it is shown: %s, %v", text, err)
		}
	}
	if one.Error != "it said ***" || one.Warnings[0] != "mind ***" {
		t.Errorf("told %q, %q", one.Error, one.Warnings)
	}
	if h.get(id).Args["env"].Text != "hunter2x" {
		t.Error("the run itself was changed")
	}
}

// TestWhatIsApprovedIsTheRunAsItIs: a button carries what a masked run stands
// for.
func TestWhatIsApprovedIsTheRunAsItIs(t *testing.T) {
	h, _, hidden := sealedHouse(t, nil)
	id := h.run(alice, ask("example", "held", "hunter2x")).Run
	hidden.Replace([]string{"hunter2x"})
	shown, err := h.Run(t.Context(), bob, id)
	if err != nil || shown.Args["env"].Text != mask.Stars {
		t.Fatal(shown.Args, err)
	}
	if _, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionApprove, Run: id, Digest: shown.ApprovalDigest()}); err != nil {
		t.Error(err)
	}
	if got := h.claim(1); len(got) != 1 || got[0].Task.Args["env"].Text != "hunter2x" {
		t.Errorf("claimed %+v", got)
	}
}
