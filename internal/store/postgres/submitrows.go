package postgres

import (
	"cmp"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// behindRow asks what a submission waits behind.
type behindRow struct {
	n     *newRun
	t     *target // nil: the id is known
	ckey  int32
	rank  int16
	start int64
	id    int64
}

// write gives new runs their ids, and queues all that is to be written.
func (s *submission) write() error {
	if len(s.made) > 0 {
		i := 0
		s.t.each(sqlRunIDs, func(r pgx.Rows) error {
			i++
			return r.Scan(&s.made[i-1].id)
		}, len(s.made))
		s.t.forceXID()
		if err := s.t.flush(); err != nil {
			return err
		}
	}
	for i := range s.behind {
		if b := &s.behind[i]; b.t != nil {
			b.id = b.t.id
			b.n.out.Run = bellhop.RunID(b.id)
		}
	}
	s.writeKeys()
	s.writeRuns()
	s.writeHeld()
	s.writeMoved()
	s.writeLimits()
	s.writeAsks()
	s.askBehind()
	return s.writeAudits()
}

// writeAudits comes last: what was queued goes out before, so that others wait
// for little more than the commit.
func (s *submission) writeAudits() error {
	if len(s.audits) == 0 {
		return nil
	}
	if err := s.t.flush(); err != nil {
		return err
	}
	rows := make([]*auditRow, len(s.audits))
	for i, a := range s.audits {
		copied := *a.row // the transaction may be made again, with another run
		copied.run = a.target.id
		rows[i] = &copied
	}
	return s.t.record(s.db, rows)
}

func (s *submission) writeKeys() {
	if len(s.keys) == 0 {
		return
	}
	n := len(s.keys)
	keys, runs, ats, rejected := make([]pgtype.UUID, n), make([]int64, n), make([]int64, n), make([]bool, n)
	for i, k := range s.keys {
		keys[i], runs[i], ats[i], rejected[i] = k.key, k.target.id, k.at, k.rejected
	}
	s.t.do(sqlInsertKeys, keys, runs, ats, rejected)
}

func (s *submission) writeRuns() {
	n := len(s.made)
	if n == 0 {
		return
	}
	var (
		ids, retries, afters, created, starts, deadlines, patience, latest = make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
		lanes, jobs, defs, ckeys, asks                                     = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
		ranks                                                              = make([]int16, n)
		principals                                                         = make([]string, n)
		sessions, servers                                                  = make([]*string, n), make([]*string, n)
		rests, args                                                        = make([][]byte, n), make([][]byte, n)
		merges, alikes                                                     = make([]pgtype.UUID, n), make([]pgtype.UUID, n)
	)
	for i, t := range s.made {
		f := t.fresh
		ids[i], retries[i], afters[i], created[i], starts[i], deadlines[i], patience[i], latest[i] = t.id, f.retryOf, f.after, f.now, t.start, t.deadline(), t.patience, t.latest
		lanes[i], jobs[i], defs[i], ckeys[i], asks[i] = f.lane.id, f.lane.job, f.def, f.ckey, int32(t.asks)
		ranks[i] = t.rank
		a := f.asks[0]
		principals[i], sessions[i], servers[i], rests[i], args[i] = a.principal, a.session, a.server, a.rest, f.args
		alikes[i] = f.alike
		if !t.sealed {
			merges[i] = f.merge
		}
	}
	if len(s.full) > 0 {
		s.t.do(sqlSeal, s.full)
	}
	s.t.do(sqlInsertRuns, ids, lanes, jobs, defs, retries, afters, created, principals, sessions, servers, rests, args)
	s.t.do(sqlInsertWaiting, ids, ranks, starts, deadlines, patience, latest, lanes, ckeys, asks, merges, alikes, jobs, principals)
}

// writeMoved writes the runs of the store that were joined. One that was next
// of its key may have gone back: others may pass.
func (s *submission) writeMoved() {
	n := len(s.moved)
	if n == 0 {
		return
	}
	ids, ranks, starts, deadlines, latest, asks := make([]int64, n), make([]int16, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int32, n)
	var ckeys []int32
	for i, t := range s.moved {
		ids[i], ranks[i], starts[i], deadlines[i], latest[i], asks[i] = t.id, t.rank, t.start, t.deadline(), t.latest, int32(t.asks)
		if t.ckey > 0 {
			ckeys = append(ckeys, t.ckey)
		}
	}
	s.t.do(sqlMerge, ids, ranks, starts, deadlines, latest, asks)
	s.t.letPass(ckeys, s.now, false)
}

func (s *submission) writeAsks() {
	var ids []int64
	var ns []int32
	var principals []string
	var sessions, servers []*string
	var rests [][]byte
	for _, t := range slices.Concat(s.made, s.moved) {
		for i, a := range t.joined {
			ids, ns = append(ids, t.id), append(ns, int32(t.asks-len(t.joined)+i))
			principals, sessions, servers, rests = append(principals, a.principal), append(sessions, a.session), append(servers, a.server), append(rests, a.rest)
		}
	}
	if len(ids) > 0 {
		s.t.do(sqlInsertAsks, ids, ns, principals, sessions, servers, rests)
	}
}

// askBehind asks which runs go first. It is a hint: when the answer is lost
// with the connection, nothing is said of it.
func (s *submission) askBehind() {
	rows := slices.DeleteFunc(s.behind, func(b behindRow) bool { return b.ckey == 0 })
	if len(rows) == 0 {
		return
	}
	n := len(rows)
	ords, ckeys, ranks, starts, ids := make([]int32, n), make([]int32, n), make([]int16, n), make([]int64, n), make([]int64, n)
	for i, b := range rows {
		ords[i], ckeys[i], ranks[i], starts[i], ids[i] = int32(i), b.ckey, b.rank, b.start, b.id
	}
	s.t.each(sqlBehind, func(r pgx.Rows) error {
		var ord int32
		var id int64
		err := r.Scan(&ord, &id)
		rows[ord].n.out.Behind = bellhop.RunID(id)
		return err
	}, ords, ckeys, ranks, starts, ids)
}

// sortedBounds returns keys in the order in which they are locked.
func sortedBounds(ckeys []int32) []int32 {
	ckeys = slices.DeleteFunc(slices.Clone(ckeys), func(k int32) bool { return k == 0 })
	slices.SortFunc(ckeys, cmp.Compare)
	return slices.Compact(ckeys)
}
