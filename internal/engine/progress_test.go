package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

func TestProgressIsToldToWhoAsked(t *testing.T) {
	a := newApprovals(t, nil)
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: &bus.Local{}, Clock: a.clock, AuditKey: make([]byte, bellhop.AuditKeySize),
		Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") },
		Callback: func(run bellhop.RunID, lease int64, until time.Time) string {
			return fmt.Sprint(run, " ", lease, " ", until.UTC().Format(time.TimeOnly))
		}})
	a.activate(func(cat *bellhop.Catalog) {
		cat.Services[0].Jobs = append(cat.Services[0].Jobs, job("site", "long", func(j *bellhop.Job) { j.Callback = time.Hour; j.Retries.Max = 1 }))
	})
	id := a.run(opsAda, ask("site", "long", "x")).Run
	for _, p := range []bellhop.Person{opsAda, opsBea} { // the same again, which joins it
		if got := a.run(p, ask("site", "long", "x")); got.Run != id {
			t.Fatal(got)
		}
	}
	claims := a.claim(1)
	if len(claims) != 1 || claims[0].Task.Callback != id.String()+" 1 13:00:00" {
		t.Fatalf("%+v", claims)
	}
	if err := a.Progress(t.Context(), id, 1, "half, by hunter22"); err != nil {
		t.Fatal(err)
	}
	rows, _, err := a.store.Outbox.Due(t.Context(), bellhop.DueRequest{Now: a.clock.Now(), N: 9})
	if err != nil || len(rows) != 2 || rows[0].Ask.Principal != "ada" || rows[1].Ask.Principal != "bea" || rows[0].Ask.Note != "half, by ***" || rows[0].Kind != bellhop.ReportProgress {
		t.Errorf("told are %+v, %v", rows, err)
	}
	for lease, n := range map[int64]bellhop.RunID{2: id, 1: id + 7} {
		if err := a.Progress(t.Context(), n, lease, "x"); bellhop.CodeOf(err) != bellhop.Conflict && bellhop.CodeOf(err) != bellhop.NotFound {
			t.Errorf("run %s at %d: %v", n, lease, err)
		}
	}
	a.finish(claims[0], bellhop.EndSucceeded)
	wantCode(t, a.Progress(t.Context(), id, 1, "x"), bellhop.Conflict)
	a.run(opsAda, ask("site", "deploy", "staging"))
	if c := a.claim(1); len(c) != 1 || c[0].Task.Callback != "" {
		t.Errorf("a job without callback is given %q", c[0].Task.Callback)
	}
}
