package reporter_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestWhatIsToldIsMasked: a report shows what the run's record has.
func TestWhatIsToldIsMasked(t *testing.T) {
	f := start(t, &destination{}, "a")
	defer f.stop()
	f.rep.Stop()
	f.rep.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2x", "***") }
	job := bellhop.Job{Service: "s", Name: "j", Executor: "test", Spec: []byte(`{}`)}
	rows, err := f.store.Queue.Submit(t.Context(), []bellhop.Submission{{
		Run: bellhop.RunSpec{Service: "s", Job: "j", Digest: job.Digest(), ConcurrencyKey: "s/j", Args: bellhop.Args{"env": bellhop.Text("hunter2x")}},
		Ask: bellhop.Ask{Principal: "alice", Identity: "chat:alice", Key: "k"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.rep.Compose(t.Context(), bellhop.OutboxRow{Run: rows[0].Run})
	if err != nil || r.Run.Args["env"].Text != "***" {
		t.Errorf("it tells %+v, %v", r.Run.Args, err)
	}
}
