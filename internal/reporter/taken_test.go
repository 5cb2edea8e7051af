package reporter_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/reporter"
)

// memory is an outbox that gives each row out once, as the port has it, and
// counts how often it is asked.
type memory struct {
	mu      sync.Mutex
	rows    []bellhop.OutboxRow
	taken   map[int64]time.Time
	settled map[int64]bellhop.Settlement
	changes int
	asked   []bellhop.DueRequest
	slow    time.Duration // a change takes so long
}

func newMemory(rows ...bellhop.OutboxRow) *memory {
	m := &memory{taken: make(map[int64]time.Time), settled: make(map[int64]bellhop.Settlement)}
	for i, row := range rows {
		row.ID, row.Run, row.Kind, row.Created = int64(i+1), bellhop.RunID(i+1), bellhop.ReportOutcome, time.Now()
		m.rows = append(m.rows, row)
	}
	return m
}

func to(channel string) bellhop.OutboxRow {
	return bellhop.OutboxRow{Ask: bellhop.Ask{Principal: "alice", Origin: bellhop.Origin{Source: "chat", Channel: channel}}}
}

func (m *memory) Due(_ context.Context, d bellhop.DueRequest) (rows []bellhop.OutboxRow, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, d)
	for _, row := range m.rows {
		s, seen := m.settled[row.ID]
		if seen && (s.State != bellhop.ReportPending || s.Due.After(d.Now)) || m.taken[row.ID].After(d.Now) || len(rows) == d.N {
			continue
		}
		m.taken[row.ID] = d.Now.Add(d.For)
		rows = append(rows, row)
	}
	return rows, time.Time{}, nil
}

func (m *memory) Settle(_ context.Context, all []bellhop.Settlement) error {
	time.Sleep(m.slow)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for _, s := range all {
		m.settled[s.ID] = s
		delete(m.taken, s.ID)
	}
	return nil
}

func (*memory) Unread(context.Context, string, string, int) ([]bellhop.OutboxRow, error) {
	return nil, nil
}

func (*memory) Tell(context.Context, bellhop.LeaseRef, bellhop.ReportKind, []bellhop.Ask, time.Time) error {
	return nil
}

func (m *memory) states() map[bellhop.ReportState]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := make(map[bellhop.ReportState]int)
	for _, s := range m.settled {
		n[s.State]++
	}
	return n
}

// records has every run, but those it has forgotten, and counts.
type records struct {
	bellhop.Records
	bellhop.Definitions
	mu         sync.Mutex
	runs, defs int
	forgotten  bellhop.RunID
}

func (r *records) Run(_ context.Context, id bellhop.RunID) (bellhop.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	if id == r.forgotten {
		return bellhop.Run{}, bellhop.Errorf(bellhop.NotFound, "there is no run %s", id)
	}
	return bellhop.Run{ID: id, State: bellhop.Succeeded, Digest: "d"}, nil
}

func (r *records) Definition(context.Context, string) (bellhop.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.defs++
	return bellhop.Job{Report: bellhop.ReportRule{Stdout: true}}, nil
}

func begin(t *testing.T, m *memory, recs *records, dest bellhop.Destination) *reporter.Reporter {
	t.Helper()
	rep := reporter.New(reporter.Options{
		Store: &bellhop.Store{Outbox: m, Records: recs, Definitions: recs}, Bus: &bus.Local{}, Server: "here-1",
		Destinations: map[string]bellhop.Destination{"chat": dest},
	})
	if err := rep.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestWhatIsTakenIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(slices.Repeat([]bellhop.OutboxRow{to("a")}, 1000)...)
		m.slow = 50 * time.Millisecond
		recs, dest := &records{}, &destination{}
		rep := begin(t, m, recs, dest)
		rep.Flush(time.Minute)
		rep.Stop()
		if got := m.states(); got[bellhop.ReportDelivered] != 1000 || len(dest.got) != 1000 {
			t.Errorf("%v, delivered %d times; want each once", got, len(dest.got))
		}
		for _, d := range m.asked {
			if d.Server != "here-1" || d.For < time.Minute {
				t.Fatalf("asked for %+v", d)
			}
		}
		if recs.defs != 1 || recs.runs != 1000 {
			t.Errorf("definitions were read %d times, runs %d times", recs.defs, recs.runs)
		}
		// Without batches it would be a thousand changes of 50 ms each.
		if m.changes > 20 {
			t.Errorf("what became of 1000 reports took %d changes", m.changes)
		}
		if !slices.IsSortedFunc(dest.tries, time.Time.Compare) {
			t.Error("not in order")
		}
	})
}

// away is a destination of connections that have ended.
type away struct{ destination }

func (*away) Here(o bellhop.Origin) bool { return o.Channel == "here" }

func TestNothingIsReadForWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(to("gone"), to("here"), to("gone"))
		recs, dest := &records{}, &away{}
		rep := begin(t, m, recs, dest)
		rep.Flush(time.Minute)
		rep.Stop()
		if got := m.states(); got[bellhop.ReportUnread] != 2 || got[bellhop.ReportDelivered] != 1 || recs.runs != 1 {
			t.Errorf("%v, and %d runs were read", got, recs.runs)
		}
	})
}

func TestWhoIsToldWithoutHavingAskedFindsItUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(bellhop.OutboxRow{Ask: bellhop.Ask{N: -1, Principal: "bob"}})
		rep := begin(t, m, &records{}, &destination{})
		rep.Flush(time.Minute)
		rep.Stop()
		if s := m.settled[1]; s.State != bellhop.ReportUnread || s.Error != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestAReportOfAForgottenRunIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(to("a"), to("a"))
		dest := &destination{}
		rep := begin(t, m, &records{forgotten: 1}, dest)
		rep.Flush(time.Minute)
		rep.Stop()
		if s := m.settled[1]; s.State != bellhop.ReportGivenUp || len(dest.got) != 1 {
			t.Errorf("%+v, delivered %v", s, dest.got)
		}
	})
}

// Another server must not have to wait until what this one took is free again.
func TestStopGivesBackWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(to("a"), to("a"), to("b"))
		dest := &destination{block: make(chan struct{})}
		rep := begin(t, m, &records{}, dest)
		synctest.Wait()
		rep.Stop()
		rep.Stop()
		rows, _, err := m.Due(t.Context(), bellhop.DueRequest{Server: "there-2", Now: time.Now(), N: 10, For: time.Minute})
		if err != nil || len(rows) != 3 {
			t.Errorf("another one gets %d reports, %v; want all 3", len(rows), err)
		}
	})
}

func TestFlushWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(to("a"))
		dest := &destination{block: make(chan struct{})}
		rep := begin(t, m, &records{}, dest)
		defer rep.Stop()
		synctest.Wait()
		began := time.Now()
		rep.Flush(2 * time.Second)
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("with a delivery that hangs it took %s, want all of its time", d)
		}
		go func() {
			time.Sleep(time.Second)
			close(dest.block)
		}()
		rep.Flush(time.Minute)
		if d := time.Since(began); d < 3*time.Second || d > 4*time.Second || len(m.states()) != 1 {
			t.Errorf("it returned after %s with %v", d, m.states())
		}
	})
}
