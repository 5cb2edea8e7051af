package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// nothing is a store that does nothing, so that what a benchmark measures is
// the rules alone.
type nothing struct {
	bellhop.Definitions
	bellhop.Queue
	bellhop.Cluster
	id  bellhop.RunID
	job bellhop.Job
	run bellhop.Run
}

func (*nothing) PutDefinitions(context.Context, []bellhop.Definition) error { return nil }
func (n *nothing) Definition(context.Context, string) (bellhop.Job, error)  { return n.job, nil }
func (*nothing) Activate(context.Context, bellhop.Activation) error         { return nil }

type holdPort = bellhop.Holds

type noHolds struct{ holdPort }

func (noHolds) Holds(context.Context, bellhop.HoldFilter, time.Time) ([]bellhop.Hold, error) {
	return nil, nil
}

func (n *nothing) Submit(_ context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	n.id++
	n.run.Args, n.run.Digest = subs[0].Run.Args, subs[0].Run.Digest
	return []bellhop.Submitted{{Run: n.id, How: bellhop.Created, Start: subs[0].Run.Start}}, nil
}

func (n *nothing) Claim(context.Context, bellhop.ClaimRequest) ([]bellhop.ClaimedRun, time.Time, error) {
	n.run.ID = n.id
	return []bellhop.ClaimedRun{{Run: n.run, Lease: 1, Principal: "alice"}}, time.Time{}, nil
}

func (*nothing) Finish(_ context.Context, ends []bellhop.Ending) ([]error, error) {
	return make([]error, len(ends)), nil
}

func BenchmarkRules(b *testing.B) {
	cat := catalog()
	n := &nothing{job: cat.Services[0].Jobs[0]}
	e := engine.New(engine.Options{Store: &bellhop.Store{Definitions: n, Queue: n, Holds: noHolds{}, Cluster: n}, Bus: &bus.Local{}})
	if err := e.Activate(b.Context(), cat); err != nil {
		b.Fatal(err)
	}
	inv := ask("example", "deploy", "staging")
	inv.Key, inv.Person, inv.Origin = "k", alice, bellhop.Origin{Source: "ssh", Person: "ssh:alice", Session: "s"}
	ctx := b.Context()
	b.Run("ask", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Do(ctx, inv); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("claim and finish", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			claims, _, err := e.Claim(ctx, "r", 1)
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Finish(ctx, ref(claims[0]), bellhop.Outcome{End: bellhop.EndSucceeded}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
