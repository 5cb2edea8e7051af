package engine_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: true}
	bob   = bellhop.Person{Identity: "ssh:bob", Name: "bob", Listed: true}
	guest = bellhop.Person{Identity: "ssh:guest"}
	owner = bellhop.Person{Identity: "local:root", Listed: true}
)

// job is a job of the test catalog.
func job(service, name string, change func(*bellhop.Job)) bellhop.Job {
	j := bellhop.Job{
		Service: service, Name: name, Executor: "test", Spec: json.RawMessage(`{}`), Concurrency: 1, OnCrash: bellhop.CrashRerun,
		Params: []bellhop.Param{{Name: "env", Type: bellhop.TypeString}},
	}
	if change != nil {
		change(&j)
	}
	return j
}

func catalog() *bellhop.Catalog {
	return &bellhop.Catalog{Services: []bellhop.Service{
		{Name: "example", Jobs: []bellhop.Job{
			job("example", "deploy", nil),
			job("example", "free", func(j *bellhop.Job) { j.Concurrency = 0 }),
			job("example", "keyed", func(j *bellhop.Job) { j.ConcurrencyKey = "deploy-{env}" }),
			job("example", "stubborn", func(j *bellhop.Job) {
				j.Retries = bellhop.Retries{Max: 2, Backoff: time.Minute}
				j.Report.Retried = true
			}),
			job("example", "once", func(j *bellhop.Job) { j.OnCrash = bellhop.CrashFail }),
		}},
		{Name: "secret", Restricted: true, Jobs: []bellhop.Job{job("secret", "deploy", nil)}},
	}}
}

// house is an engine on a real store.
type house struct {
	*engine.Engine
	t     *testing.T
	store *bellhop.Store
	bus   *bus.Local
	keys  int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Admin.Close() })
	b := &bus.Local{}
	h := &house{Engine: engine.New(engine.Options{Store: store, Bus: b, Lease: time.Minute}), t: t, store: store, bus: b}
	if err := h.Activate(t.Context(), catalog()); err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(service, name, env string) bellhop.Invocation {
	return bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: name, Entry: "e", Args: bellhop.Args{"env": bellhop.Text(env)}}
}

// do has an invocation done for a person, with a key of its own unless it has one.
func (h *house) do(p bellhop.Person, inv bellhop.Invocation) (bellhop.Answer, error) {
	h.keys++
	if inv.Key == "" {
		inv.Key = strings.Repeat("k", h.keys)
	}
	inv.Person, inv.Origin = p, bellhop.Origin{Source: "ssh", Person: p.Identity, Session: "s-" + p.Principal()}
	return h.Do(h.t.Context(), inv)
}

func (h *house) run(p bellhop.Person, inv bellhop.Invocation) *bellhop.Accepted {
	h.t.Helper()
	a, err := h.do(p, inv)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Accepted
}

// claim takes what may start, n at the most.
func (h *house) claim(n int) []bellhop.Claim {
	h.t.Helper()
	claims, _, err := h.Claim(h.t.Context(), "r", n)
	if err != nil {
		h.t.Fatal(err)
	}
	return claims
}

// claimAt claims the one run that may start at some time to come.
func (h *house) claimAt(now time.Time) bellhop.Claim {
	h.t.Helper()
	runs, _, err := h.store.Queue.Claim(h.t.Context(), bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Minute})
	if err != nil || len(runs) != 1 {
		h.t.Fatal(runs, err)
	}
	return bellhop.Claim{Task: bellhop.Task{Run: runs[0].Run.ID, Lease: runs[0].Lease}}
}

func ref(c bellhop.Claim) bellhop.LeaseRef {
	return bellhop.LeaseRef{Run: c.Task.Run, Lease: c.Task.Lease}
}

func (h *house) finish(c bellhop.Claim, end bellhop.End) {
	h.t.Helper()
	if err := h.Finish(h.t.Context(), ref(c), bellhop.Outcome{End: end, Error: "because"}, nil); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) get(id bellhop.RunID) bellhop.Run {
	h.t.Helper()
	r, err := h.store.Records.Run(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func wantCode(t *testing.T, err error, code bellhop.Code) {
	t.Helper()
	if bellhop.CodeOf(err) != code {
		t.Errorf("got %v, want an error of code %q", err, code)
	}
}
