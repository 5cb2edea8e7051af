package postgres

import (
	"fmt"

	"github.com/bellhop-io/bellhop"
)

const (
	// The output that is kept is counted once, when a run has ended: of each
	// by PRIMARY KEY (run_id, attempt, seq).
	sqlInsertOutcomes = `WITH o AS (
  INSERT INTO outcome (run_id, state, verdict, previous, rank, how, attempt, lease, exit_status, start, deadline, started, finished, runner, error, result, warnings, output)
  SELECT u.*, (SELECT coalesce(sum(octet_length(p.data)), 0) FROM output p WHERE p.run_id = u.id)
  FROM unnest($2::bigint[], $3::smallint[], $4::smallint[], $5::smallint[], $6::smallint[], $7::smallint[], $8::int[], $9::int[], $10::int[], $11::bigint[], $12::bigint[],
    $13::bigint[], $14::bigint[], $15::text[], $16::text[], $17::bytea[], $18::bytea[])
    u (id, state, verdict, previous, rank, how, attempt, lease, exit_status, start, told, started, finished, runner, reason, result, warnings) RETURNING output)
  UPDATE output_size s SET bytes = s.bytes + n.bytes FROM (SELECT sum(output) AS bytes FROM o) n WHERE s.slot = $1 AND n.bytes > 0`
	sqlInsertOutput = `INSERT INTO output (run_id, attempt, seq, channel, place, at, data)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bytea[]) ON CONFLICT DO NOTHING`
	sqlDropOutput = `DELETE FROM output o USING unnest($1::bigint[], $2::int[], $3::bigint[]) u (run_id, attempt, seq)
  WHERE o.run_id = u.run_id AND o.attempt = u.attempt AND o.seq = u.seq`
	// By PRIMARY KEY each.
	sqlInsertReports = `INSERT INTO report (run_id, ask_n, attempt, kind, created, due, principal, session, server)
  SELECT u.id, a.n, u.attempt, u.kind, u.now, u.now, a.principal, a.session, a.server
  FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::bigint[]) WITH ORDINALITY u (id, attempt, kind, now, ord) CROSS JOIN LATERAL (
    SELECT 0 AS n, r.principal, r.session, r.server FROM run r WHERE r.id = u.id AND NOT r.withdrawn
    UNION ALL SELECT k.n, k.principal, k.session, k.server FROM ask k WHERE k.run_id = u.id AND NOT k.withdrawn) a ORDER BY u.ord, a.n`
	sqlInsertNotes = `INSERT INTO report (run_id, ask_n, attempt, kind, created, due, principal, session, server, ask)
  SELECT u.id, -1, u.attempt, u.kind, u.now, u.now, u.principal, u.session, u.server, u.ask
  FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bytea[]) u (id, attempt, kind, now, principal, session, server, ask)`
)

// outcome is the end of a run, in the form of its row.
type outcome struct {
	id                                  int64
	state, verdict, previous, rank, how int16
	attempt, lease                      int32
	exit                                *int32
	start, told, started, finished      int64
	runner, reason                      *string
	result, warnings                    []byte
}

type attemptRow struct {
	id             int64
	n              int32
	how            int16
	exit           *int32
	started, ended int64
	runner, reason *string
}

type reportRow struct {
	id      int64
	attempt int32
	kind    int16
	now     int64
	ask     newAsk // of notes
}

// writing gathers rows, so that each table is written by one statement.
type writing struct {
	outcomes []*outcome
	attempts []attemptRow
	outputs  []bellhop.OutputBatch
	reports  []reportRow
	notes    []reportRow
}

func (w *writing) end(o *outcome)                { w.outcomes = append(w.outcomes, o) }
func (w *writing) output(b *bellhop.OutputBatch) { w.outputs = append(w.outputs, *b) }

// report tells each ask that is not withdrawn.
func (w *writing) report(id int64, attempt int32, kind bellhop.ReportKind, now int64) {
	w.reports = append(w.reports, reportRow{id: id, attempt: attempt, kind: numberOf(kinds(), kind), now: now})
}

// notify tells others, who did not ask.
func (w *writing) notify(id int64, attempt int32, kind bellhop.ReportKind, whom []bellhop.Ask, now int64) {
	for i := range whom {
		w.notes = append(w.notes, reportRow{id: id, attempt: attempt, kind: numberOf(kinds(), kind), now: now, ask: packNewAsk(&whom[i])})
	}
}

// write queues all of it. Output comes before the outcomes, which count it.
func (w *writing) write(t *tx, slot int16) {
	w.writeOutput(t)
	w.writeAttempts(t)
	w.writeOutcomes(t, slot)
	w.writeReports(t)
	w.writeNotes(t)
}

func (w *writing) writeOutput(t *tx) {
	var ids, seqs, places, ats, dropIDs, dropSeqs []int64
	var attempts, dropAttempts []int32
	var channels []int16
	var data [][]byte
	for _, b := range w.outputs {
		for i := range b.Chunks {
			c := &b.Chunks[i]
			ids, attempts, seqs, channels = append(ids, int64(b.Ref.Run)), append(attempts, int32(b.Ref.Lease)), append(seqs, c.Seq), append(channels, int16(c.Channel))
			places, ats = append(places, c.Offset), append(ats, micros(c.At))
			data = append(data, append([]byte{}, c.Data...)) // never NULL
		}
		for _, seq := range b.Drop {
			dropIDs, dropAttempts, dropSeqs = append(dropIDs, int64(b.Ref.Run)), append(dropAttempts, int32(b.Ref.Lease)), append(dropSeqs, seq)
		}
	}
	if len(ids) > 0 {
		t.do(sqlInsertOutput, ids, attempts, seqs, channels, places, ats, data)
	}
	if len(dropIDs) > 0 {
		t.do(sqlDropOutput, dropIDs, dropAttempts, dropSeqs)
	}
}

func (w *writing) writeAttempts(t *tx) {
	n := len(w.attempts)
	if n == 0 {
		return
	}
	ids, ns, hows, exits := make([]int64, n), make([]int32, n), make([]int16, n), make([]*int32, n)
	starteds, endeds, runners, reasons := make([]int64, n), make([]int64, n), make([]*string, n), make([]*string, n)
	for i, a := range w.attempts {
		ids[i], ns[i], hows[i], exits[i], starteds[i], endeds[i], runners[i], reasons[i] = a.id, a.n, a.how, a.exit, a.started, a.ended, a.runner, a.reason
	}
	t.do(sqlInsertAttempts, ids, ns, hows, exits, starteds, endeds, runners, reasons)
}

func (w *writing) writeOutcomes(t *tx, slot int16) {
	n := len(w.outcomes)
	if n == 0 {
		return
	}
	var (
		ids, starts, tolds, starteds, finisheds   = make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
		states, verdicts, previouses, ranks, hows = make([]int16, n), make([]int16, n), make([]int16, n), make([]int16, n), make([]int16, n)
		attempts, leases                          = make([]int32, n), make([]int32, n)
		exits                                     = make([]*int32, n)
		runners, reasons                          = make([]*string, n), make([]*string, n)
		results, warnings                         = make([][]byte, n), make([][]byte, n)
	)
	for i, o := range w.outcomes {
		ids[i], starts[i], tolds[i], starteds[i], finisheds[i] = o.id, o.start, o.told, o.started, o.finished
		states[i], verdicts[i], previouses[i], ranks[i], hows[i] = o.state, o.verdict, o.previous, o.rank, o.how
		attempts[i], leases[i], exits[i], runners[i], reasons[i] = o.attempt, o.lease, o.exit, o.runner, o.reason
		results[i], warnings[i] = o.result, o.warnings
	}
	t.do(sqlInsertOutcomes, slot, ids, states, verdicts, previouses, ranks, hows, attempts, leases, exits, starts, tolds, starteds, finisheds, runners, reasons, results, warnings)
}

func (w *writing) writeReports(t *tx) {
	n := len(w.reports)
	if n == 0 {
		return
	}
	ids, attempts, kinds, nows := make([]int64, n), make([]int32, n), make([]int16, n), make([]int64, n)
	for i, r := range w.reports {
		ids[i], attempts[i], kinds[i], nows[i] = r.id, r.attempt, r.kind, r.now
	}
	t.do(sqlInsertReports, ids, attempts, kinds, nows)
}

func (w *writing) writeNotes(t *tx) {
	n := len(w.notes)
	if n == 0 {
		return
	}
	ids, attempts, kinds, nows := make([]int64, n), make([]int32, n), make([]int16, n), make([]int64, n)
	principals, sessions, servers, rests := make([]string, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	for i, r := range w.notes {
		ids[i], attempts[i], kinds[i], nows[i] = r.id, r.attempt, r.kind, r.now
		principals[i], sessions[i], servers[i], rests[i] = r.ask.principal, r.ask.session, r.ask.server, r.ask.rest
	}
	t.do(sqlInsertNotes, ids, attempts, kinds, nows, principals, sessions, servers, rests)
}

// followKey is the key of the asks of a run that follows another.
func followKey(run bellhop.RunID, index int) string { return fmt.Sprintf("then:%s/%d", run, index) }
