package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	sqlInsertAudit = `INSERT INTO audit (chain, seq, at, run, principal, service, job, allowed, data, hash)
  SELECT $1, u.* FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::bytea[], $10::bytea[])
    u (seq, at, run, principal, service, job, allowed, data, hash) ORDER BY u.seq`
	// By UNIQUE (name).
	sqlChainID     = `SELECT id FROM audit_chain WHERE name = $1`
	sqlInsertChain = `INSERT INTO audit_chain (name) VALUES ($1) RETURNING id`
	// By PRIMARY KEY.
	sqlEndOfChain = `SELECT seq, hash FROM audit WHERE chain = $1 ORDER BY seq DESC LIMIT 1`
	sqlHashAt     = `SELECT hash FROM audit WHERE chain = $1 AND seq = $2`
	// All chains, and of each its last record by PRIMARY KEY.
	sqlHeads = `SELECT c.name, a.seq, a.hash, a.at FROM audit_chain c CROSS JOIN LATERAL (
  SELECT r.seq, r.hash, r.at FROM audit r WHERE r.chain = c.id ORDER BY r.seq DESC LIMIT 1) a ORDER BY c.id`
)

// audit is the end of the chain that this process writes. A transaction takes
// it before its last statements, and lets it go when it is committed or undone:
// the records of the next one go on from there.
//
// When it is not known what became of a transaction, its records may still
// come. The next one reads the end anew; would it use the same numbers, one of
// them fails.
type audit struct {
	chain atomic.Pointer[chain] // nil before Begin
	mu    sync.Mutex
	known bool     // end is right
	end   auditEnd // of the last record
	sure  auditEnd // the last one that is known to be committed
}

type auditEnd struct {
	seq  int64
	hash bellhop.AuditSum
}

type chain struct {
	name   string
	number int32
	sums   *bellhop.AuditChain // for who has audit.mu
}

// auditRow is a record as far as it can be made before its turn.
type auditRow struct {
	at, run                 int64
	principal, service, job string
	allowed                 bool
	packed                  bellhop.PackedAudit
}

func packAudit(r *bellhop.AuditRecord) *auditRow {
	return &auditRow{
		at: micros(r.At), run: int64(r.Run), principal: text(r.Principal), service: text(r.Service), job: text(r.Job),
		allowed: r.Allowed, packed: r.Pack(),
	}
}

// prepareAudit packs a record, and refuses what comes before Begin.
func (d *db) prepareAudit(r *bellhop.AuditRecord) (*auditRow, error) {
	if d.audit.chain.Load() == nil {
		return nil, bellhop.Errorf(bellhop.Internal, "a record of %s by %q came before the server began its audit", r.Action, r.Principal)
	}
	return packAudit(r), nil
}

// record appends records to this process's chain. From then on others wait
// for the end, so it comes last in a transaction, when what was queued before
// has gone out.
func (t *tx) record(d *db, rows []*auditRow) error {
	a, of := &d.audit, d.audit.chain.Load()
	a.mu.Lock()
	t.audit = a
	if !a.known {
		end, err := t.endOf(of.number)
		if err != nil {
			return err
		}
		if end.seq < a.sure.seq { // cut off: the gap is to be seen
			d.log.Error("records of the audit are not in the store any more", "chain", of.name, "from", end.seq+1, "to", a.sure.seq)
			end = a.sure
		}
		a.end, a.known = end, true
	}
	t.wrote = a.end
	t.insertAudit(of, rows)
	return nil
}

// letAudit lets the end go, if the transaction has it.
func (t *tx) letAudit(committed bool) {
	a := t.audit
	if a == nil {
		return
	}
	t.audit = nil
	a.end, a.known = t.wrote, committed
	if committed {
		a.sure = t.wrote
	}
	a.mu.Unlock()
}

// insertAudit queues rows behind t.wrote, which moves on.
func (t *tx) insertAudit(of *chain, rows []*auditRow) {
	n := len(rows)
	seqs, ats, runs := make([]int64, n), make([]int64, n), make([]int64, n)
	principals, services, jobs, alloweds := make([]string, n), make([]string, n), make([]string, n), make([]bool, n)
	datas, hashes := make([][]byte, n), make([][]byte, n)
	for i, r := range rows {
		t.wrote.seq++
		t.wrote.hash = of.sums.Sum(t.wrote.hash, t.wrote.seq, bellhop.RunID(r.run), r.packed)
		hash := t.wrote.hash
		seqs[i], ats[i], runs[i], principals[i], services[i], jobs[i], alloweds[i] = t.wrote.seq, r.at, r.run, r.principal, r.service, r.job, r.allowed
		datas[i], hashes[i] = r.packed, hash[:]
	}
	t.do(sqlInsertAudit, of.number, seqs, ats, runs, principals, services, jobs, alloweds, datas, hashes)
}

// endOf reads the end of a chain; zero when it has no records.
func (t *tx) endOf(number int32) (end auditEnd, err error) {
	t.each(sqlEndOfChain, func(r pgx.Rows) error {
		var hash []byte
		err := r.Scan(&end.seq, &hash)
		copy(end.hash[:], hash)
		return err
	}, number)
	return end, t.flush()
}

// Begin starts this process's chain.
func (d *db) Begin(ctx context.Context, name string, key []byte, now time.Time) error {
	if err := bellhop.CheckAuditChain(name, key); err != nil {
		return err
	}
	of := &chain{name: name, sums: bellhop.NewAuditChain(name, key)}
	begin := func(t *tx) error { return t.begin(of, now) }
	err := d.write(ctx, "beginning the audit", begin)
	if errors.Is(err, errFate) { // what was written is found by its name
		err = d.write(ctx, "beginning the audit", begin)
	}
	if err == nil {
		d.audit.mu.Lock()
		d.audit.known, d.audit.sure = false, auditEnd{}
		d.audit.mu.Unlock()
		d.audit.chain.Store(of)
	}
	return err
}

// begin writes the first record of a chain. One that is there is refused,
// unless it is what the same call made, and no more.
func (t *tx) begin(of *chain, now time.Time) error {
	of.number = 0
	t.each(sqlChainID, func(r pgx.Rows) error { return r.Scan(&of.number) }, of.name)
	var heads []bellhop.AuditHead
	t.each(sqlHeads, collectHeads(&heads))
	t.forceXID()
	if err := t.flush(); err != nil {
		return err
	}
	fresh := of.number == 0
	if fresh {
		t.each(sqlInsertChain, func(r pgx.Rows) error { return r.Scan(&of.number) }, of.name)
	} else { // its own end is none of the others
		heads = without(heads, of.name)
	}
	if err := t.flush(); err != nil {
		return err
	}
	start := bellhop.AuditStartRecord(now, heads)
	row := packAudit(&start)
	t.wrote = auditEnd{}
	if fresh {
		t.insertAudit(of, []*auditRow{row})
		return nil
	}
	end, err := t.endOf(of.number)
	if err != nil {
		return err
	}
	if end.seq != 1 || end.hash != of.sums.Sum(bellhop.AuditSum{}, 1, 0, row.packed) {
		return bellhop.Errorf(bellhop.Conflict, "audit chain %s is there already; each life of a server begins one of its own", of.name)
	}
	return nil
}

func without(heads []bellhop.AuditHead, name string) []bellhop.AuditHead {
	kept := heads[:0:0]
	for _, h := range heads {
		if h.Chain != name {
			kept = append(kept, h)
		}
	}
	return kept
}

// recording is one call of Append.
type recording struct {
	recs []*auditRow
}

// Append writes records in order.
func (d *db) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	if d.closed.Load() {
		return errClosed()
	}
	c := &recording{recs: make([]*auditRow, len(recs))}
	for i := range recs {
		var err error
		if c.recs[i], err = d.prepareAudit(&recs[i]); err != nil {
			return err
		}
	}
	if len(recs) == 0 {
		return nil
	}
	return d.records.do(ctx, c)
}

// rewriting appends records in a transaction that may be made again, though
// the one before was committed: then its last record is there.
type rewriting struct {
	d    *db
	rows []*auditRow
	last auditEnd // as the attempt before would have it; seq 0 = there was none
}

func (w *rewriting) write(t *tx) error {
	t.forceXID()
	var there []byte
	if w.last.seq != 0 {
		t.each(sqlHashAt, func(r pgx.Rows) error { return r.Scan(&there) }, w.d.audit.chain.Load().number, w.last.seq)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if w.last.seq != 0 && string(there) == string(w.last.hash[:]) {
		return nil
	}
	err := t.record(w.d, w.rows)
	w.last = t.wrote
	return err
}

// recordAll writes what several callers appended.
func (d *db) recordAll(ctx context.Context, calls []*recording) error {
	var rows []*auditRow
	for _, c := range calls {
		rows = append(rows, c.recs...)
	}
	w := &rewriting{d: d, rows: rows}
	err := d.write(ctx, "recording", w.write)
	if errors.Is(err, errFate) { // what was written is found by its hash
		err = d.write(ctx, "recording", w.write)
	}
	return err
}

func collectHeads(out *[]bellhop.AuditHead) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		var h bellhop.AuditHead
		var hash []byte
		var at int64
		if err := r.Scan(&h.Chain, &h.Seq, &hash, &at); err != nil {
			return err
		}
		var sum bellhop.AuditSum
		copy(sum[:], hash)
		h.Hash, h.At = sum.String(), timeOf(at)
		*out = append(*out, h)
		return nil
	}
}

// Heads returns the end of each chain, oldest chain first.
func (d *db) Heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	err = d.read(ctx, "the ends of the audit", sqlHeads, func() { heads = nil }, collectHeads(&heads))
	return heads, err
}
