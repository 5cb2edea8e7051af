package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bench"
	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// asWatchdog, in the environment, makes this program the watchdog.
const asWatchdog = "TEST_BENCH_WATCHDOG"

func TestMain(m *testing.M) {
	if os.Getenv(asWatchdog) != "" {
		if err := watchdog.Main(os.Stdin, os.Stdout); err != nil {
			os.Exit(70)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// place is an opener on a real file, which notes what became of it.
type place struct {
	t       *testing.T
	removed int
	after   func(*bellhop.Store) // looks at the store before it goes
}

func (p *place) open(ctx context.Context, url string) (*bench.Place, error) {
	s, err := sqlite.Open(ctx, sqlite.Options{Path: url})
	if err != nil {
		return nil, err
	}
	return &bench.Place{Store: s, Sync: "the store's sync mode", Remove: func(ctx context.Context) error {
		p.removed++
		if ctx.Err() != nil {
			p.t.Error("it is to be removed under a context that has ended")
		}
		if p.after != nil {
			p.after(s)
		}
		return s.Admin.Close()
	}}, nil
}

// measure runs a bench and returns its lines.
func measure(t *testing.T, p *place, o bench.Options) ([]bench.Line, error) {
	t.Helper()
	t.Setenv(asWatchdog, "1")
	var out bytes.Buffer
	o.URL, o.Open, o.Out = filepath.Join(t.TempDir(), "bench.db"), p.open, &out
	err := bench.Run(t.Context(), o)
	if p.removed != 1 {
		t.Errorf("the store was removed %d times, want once", p.removed)
	}
	var lines []bench.Line
	for dec := json.NewDecoder(&out); dec.More(); {
		var l bench.Line
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Peer != "bellhop" || !strings.HasPrefix(l.Note, "the store's sync mode; ") || l.Rate <= 0 {
			t.Errorf("line %+v: want the peer bellhop, the sync mode first in the note, and a rate", l)
		}
		lines = append(lines, l)
	}
	return lines, err
}

func shapes(lines []bench.Line) string {
	var names []string
	for _, l := range lines {
		names = append(names, l.Shape)
	}
	return strings.Join(names, " ")
}

func TestEveryShapeGoesThroughTheEngine(t *testing.T) {
	p := &place{t: t}
	var runs []bellhop.Run
	output := 0
	p.after = func(s *bellhop.Store) {
		var err error
		if runs, err = s.Records.Runs(context.Background(), bellhop.RunFilter{}); err != nil {
			t.Error(err)
		}
		for _, r := range runs {
			chunks, err := s.Outputs.Output(context.Background(), r.ID, 0, 0, 1<<10)
			if err != nil {
				t.Error(err)
			}
			for _, c := range chunks {
				output += len(c.Data)
			}
		}
		rows, _, err := s.Outbox.Due(context.Background(), bellhop.DueRequest{Now: time.Now(), N: 1000, For: time.Minute})
		if want := 30 + 10 + 5; err != nil || len(rows) < want {
			t.Errorf("%d reports are in the outbox (%v), want one for each of %d runs at least", len(rows), err, want)
		}
		recs, _, err := s.Audit.Records(context.Background(), bellhop.AuditFilter{Service: "bench", Limit: 1000})
		if err != nil || len(recs) != 30+10+5 {
			t.Errorf("%d asks are in the audit trail (%v), want each", len(recs), err)
		}
	}
	lines, err := measure(t, p, bench.Options{
		Submit: 20, Callers: 3, Work: 30, Slots: 4, Rate: 10, For: time.Second,
		Exec: 5, Parallel: 2, Argv: []string{"sh", "-c", "echo {name} ${HOME:+x} {0..1}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := shapes(lines); got != "submit work latency exec" {
		t.Fatalf("measured %q", got)
	}
	for i, want := range []int{20, 30, 10, 5} {
		if lines[i].N != want {
			t.Errorf("%s says n=%d, want %d", lines[i].Shape, lines[i].N, want)
		}
	}
	if l := lines[2]; l.P50 <= 0 || l.P50 > l.P95 || l.P95 > l.P99 {
		t.Errorf("latency is %+v; want percentiles that grow", l)
	}
	if len(runs) != 30+10+5 {
		t.Errorf("%d runs were made, want those of --submit worked by --work, and one for each other: 45", len(runs))
	}
	for _, r := range runs {
		if r.State != bellhop.Succeeded {
			t.Errorf("run %s of %s is %s", r.ID, r.Job, r.State)
		}
	}
	if want := 5 * len("{name} x {0..1}\n"); output != want { // braces are the command's own
		t.Errorf("%d bytes of output are stored, want %d", output, want)
	}
}

func TestTheHistoryIsFilledFirst(t *testing.T) {
	p := &place{t: t}
	finished := 0
	p.after = func(s *bellhop.Store) {
		runs, err := s.Records.Runs(context.Background(), bellhop.RunFilter{States: []bellhop.State{bellhop.Succeeded}})
		if err != nil {
			t.Error(err)
		}
		finished = len(runs)
	}
	lines, err := measure(t, p, bench.Options{History: 2500, Work: 10, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := shapes(lines); got != "claim history claim work" {
		t.Fatalf("measured %q", got)
	}
	if lines[1].N != 2500 || lines[0].P50 <= 0 || lines[2].P50 <= 0 {
		t.Errorf("measured %+v", lines)
	}
	if want := 2500 + lines[0].N + lines[2].N + 10; finished != want {
		t.Errorf("%d runs have finished, want %d", finished, want)
	}
}

func TestACommandThatFailsIsNoMeasurement(t *testing.T) {
	lines, err := measure(t, &place{t: t}, bench.Options{Exec: 4, Parallel: 2, Argv: []string{"sh", "-c", "exit 3"}})
	if bellhop.CodeOf(err) != bellhop.Conflict || !strings.Contains(err.Error(), "4 runs did not succeed") || len(lines) > 0 {
		t.Errorf("%v, %+v", err, lines)
	}
}

// interrupter is interrupted, as by Ctrl-C, when a line or a word is told.
type interrupter struct {
	mu     sync.Mutex
	at     string
	cancel context.CancelFunc
}

func (i *interrupter) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if bytes.HasPrefix(p, []byte(i.at)) {
		i.cancel()
	}
	return len(p), nil
}

func TestAnInterruptedBenchRemovesItsStore(t *testing.T) {
	t.Setenv(asWatchdog, "1")
	for _, at := range []string{"submit", "work", "latency", "exec", "history"} {
		t.Run(at, func(t *testing.T) {
			ctx, interrupt := context.WithCancelCause(t.Context())
			cancel := func() { interrupt(errors.New("as by a signal")) }
			defer cancel()
			p := &place{t: t}
			o := bench.Options{
				URL: filepath.Join(t.TempDir(), "bench.db"), Open: p.open, Out: &bytes.Buffer{}, Progress: &interrupter{at: at, cancel: cancel},
				Callers: 4, Slots: 4, Parallel: 2,
			}
			const never = 1_000_000 // so many that it is interrupted before the end
			switch at {
			case "submit":
				o.Submit = never
			case "work":
				o.Work = 100
			case "latency":
				o.Rate, o.For = 1, time.Hour
			case "exec":
				o.Exec, o.Argv = 100, []string{"sleep", "3600"}
			case "history":
				o.History = never
			}
			if err := bench.Run(ctx, o); err != context.Canceled {
				t.Errorf("ended with %v, want context.Canceled itself", err)
			}
			if p.removed != 1 {
				t.Errorf("the store was removed %d times, want once", p.removed)
			}
		})
	}
}

func TestWhatCanNotBeMeasuredIsRefused(t *testing.T) {
	opened := false
	for name, tt := range map[string]struct {
		o    bench.Options
		want string
	}{
		"nothing":            {bench.Options{}, "nothing to measure"},
		"no callers":         {bench.Options{Submit: 1}, "--callers is 0"},
		"no slots":           {bench.Options{Work: 1}, "--slots is 0"},
		"no slots (latency)": {bench.Options{Rate: 1, For: time.Second}, "--slots is 0"},
		"too short":          {bench.Options{Rate: 1, For: time.Millisecond, Slots: 1}, "--for is 1ms"},
		"no command":         {bench.Options{Exec: 1, Parallel: 1}, "needs a command after --"},
		"no number":          {bench.Options{Submit: 1, Callers: 1, Argv: []string{"true"}}, "has no --exec N"},
		"not parallel":       {bench.Options{Exec: 1, Argv: []string{"true"}}, "--parallel is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Open = func(context.Context, string) (*bench.Place, error) { opened = true; return nil, errors.New("opened") }
			if err := bench.Run(t.Context(), tt.o); bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want one that says %q", err, tt.want)
			}
		})
	}
	if opened {
		t.Error("a store was made all the same")
	}
}

// TestTheTrailIsMeasured, unless it is left out, which each line says.
func TestTheTrailIsMeasured(t *testing.T) {
	for _, unaudited := range []bool{false, true} {
		p, records := &place{t: t}, 0
		p.after = func(s *bellhop.Store) {
			recs, _, err := s.Audit.Records(context.Background(), bellhop.AuditFilter{Service: "bench"})
			if err != nil {
				t.Error(err)
			}
			records = len(recs)
		}
		lines, err := measure(t, p, bench.Options{Submit: 10, Callers: 2, Unaudited: unaudited})
		if err != nil || len(lines) != 1 {
			t.Fatal(lines, err)
		}
		if said := strings.HasSuffix(lines[0].Note, "; without the audit trail"); said != unaudited || (records == 0) != unaudited {
			t.Errorf("unaudited %v: %d records, %q", unaudited, records, lines[0].Note)
		}
	}
}
