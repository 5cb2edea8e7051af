package engine_test

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
)

// modelKeep is how long things are kept: some minutes, since a walk is short.
var modelKeep = bellhop.Keep{Runs: 6 * time.Minute, Output: 2 * time.Minute, MaxOutput: 250}

// jobKeep is how long those are kept that say so themselves.
var jobKeep = map[string]bellhop.Keep{"free": {Runs: -1, Output: 4 * time.Minute}, "block": {Runs: 3 * time.Minute}, "two": {Output: -1}}

// mkept is what the model knows of how long a run is kept.
type mkept struct {
	finished time.Time
	output   int64 // bytes of it
	seq      int64 // of its last chunk
	told     bool  // its outcome was told, or is kept for whoever asks for it
	bare     bool  // its output is forgotten
}

// withKeep has a catalog say how long things are kept.
func withKeep(cat *bellhop.Catalog) *bellhop.Catalog {
	cat.Keep = modelKeep
	for i := range cat.Services[0].Jobs {
		job := &cat.Services[0].Jobs[i]
		job.Keep = jobKeep[job.Name]
	}
	return cat
}

func (r *mrun) keep() (runs, output time.Duration) {
	runs, output = modelKeep.Runs, modelKeep.Output
	of := jobKeep[r.job.def.Name]
	if of.Runs != 0 {
		runs = of.Runs
	}
	if of.Output != 0 {
		output = of.Output
	}
	return runs, output
}

// print has a run print something.
func (m *modelled) print() {
	r := m.pick("run", running)
	if r == nil || r.abandoned {
		return
	}
	text := strings.Repeat("x", 100*rapid.IntRange(1, 3).Draw(m.t, "bytes"))
	r.kept.seq++
	r.kept.output += int64(len(text))
	m.ok(m.engine.Output(m.ctx(), []bellhop.OutputBatch{{
		Ref: bellhop.LeaseRef{Run: r.id, Lease: r.lease}, Attempt: r.attempt,
		Chunks: []bellhop.Chunk{{Seq: r.kept.seq, Channel: bellhop.Stdout, At: m.now, Data: []byte(text)}},
	}}))
}

// tell has what there is to tell kept for those who ask for it.
func (m *modelled) tell() {
	rows, _, err := m.store.Outbox.Due(m.ctx(), bellhop.DueRequest{Now: m.now.Add(24 * time.Hour), N: 10_000})
	m.ok(err)
	var told []bellhop.Settlement
	for _, row := range rows {
		told = append(told, bellhop.Settlement{ID: row.ID, State: bellhop.ReportUnread, Now: m.now})
	}
	m.ok(m.store.Outbox.Settle(m.ctx(), told))
	for _, r := range m.sorted(over) {
		r.kept.told = true
	}
	m.checkKept()
}

// forget has the engine forget what is old, and compares what is left.
func (m *modelled) forget() {
	m.ok(m.engine.Sweep(m.ctx()))
	old := func(r *mrun, kept time.Duration) bool { return kept > 0 && r.kept.finished.Before(m.now.Add(-kept)) }
	ids := m.sorted(nil)
	for _, r := range m.sorted(over) {
		runs, output := r.keep()
		switch {
		case old(r, runs) && !r.kept.told: // whoever asked is to be told before it goes
		case old(r, runs) && r != ids[len(ids)-1]:
			delete(m.runs, r.id)
			m.gone[r.id] = r
		case old(r, runs) || old(r, output):
			r.strip()
		}
	}
	m.trim()
	m.holds = slices.DeleteFunc(m.holds, func(h bellhop.Hold) bool {
		before := m.now.Add(-modelKeep.Runs)
		return !h.Ended.IsZero() && h.Ended.Before(before) || !h.Until.IsZero() && h.Until.Before(before)
	})
	m.checkKept()
}

// strip forgets a run's output.
func (r *mrun) strip() {
	r.kept.bare = r.kept.bare || r.kept.output > 0
	r.kept.output = 0
}

// trim takes the output of the oldest runs away until there is little enough.
func (m *modelled) trim() {
	all := m.sorted(over)
	size := int64(0)
	for _, r := range all {
		size += r.kept.output
	}
	for _, r := range all {
		if size > modelKeep.MaxOutput {
			size -= r.kept.output
			r.strip()
		}
	}
}

// checkKept compares what there is of output, and how much that is in all.
func (m *modelled) checkKept() {
	size := int64(0)
	for _, r := range m.sorted(nil) {
		got, err := m.store.Records.Run(m.ctx(), r.id)
		m.ok(err)
		chunks, err := m.store.Outputs.Output(m.ctx(), r.id, 0, 0, 1<<20)
		m.ok(err)
		bytes := int64(0)
		for _, c := range chunks {
			bytes += int64(len(c.Data))
		}
		if bytes != r.kept.output || got.OutputForgotten != r.kept.bare {
			m.t.Fatalf("%s has %d bytes of output, forgotten: %t; want %d, %t", r, bytes, got.OutputForgotten, r.kept.output, r.kept.bare)
		}
		if over(r) {
			size += bytes
		}
	}
	for id := range m.gone {
		if _, err := m.store.Records.Run(m.ctx(), id); bellhop.CodeOf(err) != bellhop.NotFound {
			m.t.Fatalf("%s is still there: %v", id, err)
		}
	}
	got, err := m.store.Retention.OutputSize(m.ctx())
	m.ok(err)
	if got != size {
		m.t.Fatalf("all output is %d bytes, want %d", got, size)
	}
}

// ever returns a run that is there, or was.
func (m *modelled) ever(id bellhop.RunID) *mrun {
	if r := m.runs[id]; r != nil {
		return r
	}
	return m.gone[id]
}

// nameless: what is asked again is about a run that was forgotten meanwhile.
// Nothing is done twice, but the answer is that there is no such run.
func (m *modelled) nameless(d doneAsk) bool { return m.gone[d.inv.Run] != nil }
