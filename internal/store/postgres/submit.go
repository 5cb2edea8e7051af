package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// By PRIMARY KEY (key), and what was found by those of the others.
	sqlSeen = `SELECT k.key, k.run_id, k.rejected, coalesce(w.start, x.start, o.start, 0), (w.run_id IS NULL AND x.run_id IS NULL),
  CASE WHEN w.phase < 3 THEN w.ckey ELSE 0 END, coalesce(w.rank, 0), (x.run_id IS NOT NULL)
  FROM key k LEFT JOIN waiting w ON w.run_id = k.run_id LEFT JOIN running x ON x.run_id = k.run_id LEFT JOIN outcome o ON o.run_id = k.run_id
  WHERE k.key = ANY ($1::uuid[])`
	// By waiting_merge. Locked in order, so that nobody claims or moves them.
	sqlTargets = `SELECT w.merge, w.run_id, w.asks, w.ckey, w.rank, w.start, w.latest, w.patience, w.phase = 3, r.created
  FROM waiting w JOIN run r ON r.id = w.run_id WHERE w.merge = ANY ($1::uuid[]) ORDER BY w.run_id FOR UPDATE OF w`
	// By waiting_alike and running_alike.
	sqlAlike = `SELECT alike, run_id, start, ckey, rank, phase = 3 FROM waiting WHERE alike = ANY ($1::uuid[])
  UNION ALL SELECT alike, run_id, start, 0, rank, false FROM running WHERE alike = ANY ($1::uuid[]) ORDER BY run_id`
	sqlLockAlike = `SELECT pg_advisory_xact_lock($1::int, k) FROM unnest($2::int[]) k`

	sqlRunIDs = `SELECT nextval('run_id') FROM generate_series(1, $1::int)`

	sqlInsertKeys = `INSERT INTO key (key, run_id, at, rejected) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[]) ORDER BY 1`
	sqlInsertRuns = `INSERT INTO run (id, lane, job, definition, retry_of, after, created, principal, session, server, ask, args)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::bytea[], $12::bytea[])`
	sqlInsertWaiting = `INSERT INTO waiting (run_id, phase, rank, start, deadline, told, patience, latest, lane, ckey, asks, merge, alike, job, principal)
  SELECT id, 0, rank, start, deadline, deadline, patience, latest, lane, ckey, asks, merge, alike, job, principal
  FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[], $8::int[], $9::int[], $10::uuid[], $11::uuid[], $12::int[], $13::text[])
    u (id, rank, start, deadline, patience, latest, lane, ckey, asks, merge, alike, job, principal)`
	sqlInsertAsks = `INSERT INTO ask (run_id, n, principal, session, server, ask)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bytea[])`
	sqlSeal  = `UPDATE waiting SET merge = NULL WHERE run_id = ANY ($1::bigint[])`
	sqlMerge = `UPDATE waiting w SET phase = CASE w.phase WHEN 3 THEN 3 ELSE 0 END, hold = 0, rank = u.rank, start = u.start, deadline = u.deadline, told = u.deadline, latest = u.latest, asks = u.asks
  FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[]) u (id, rank, start, deadline, latest, asks) WHERE w.run_id = u.id`
	// By PRIMARY KEY, in order. Where the limit of a key has changed, those that
	// it kept back pass as with letPass.
	sqlSetLimits = `WITH b AS (UPDATE bound b SET climit = u.climit FROM unnest($1::int[], $2::int[]) u (id, climit) WHERE b.id = u.id AND b.climit <> u.climit RETURNING b.id, b.climit),
  h AS MATERIALIZED (SELECT p.run_id FROM b CROSS JOIN LATERAL (
    SELECT w.run_id FROM waiting w WHERE w.ckey = b.id AND w.phase = 1 AND (w.deadline = 0 OR w.deadline > $3) ORDER BY w.rank, w.start, w.run_id
    LIMIT greatest(0, b.climit - (SELECT count(*) FROM running x WHERE x.ckey = b.id AND x.ckey > 0)) FOR UPDATE SKIP LOCKED) p)
  UPDATE waiting w SET phase = 0 FROM h WHERE w.run_id = h.run_id`

	// By running_key, else waiting_key. (The planner must be told that a key is
	// above 0, or it may not use them.)
	sqlBehind = `SELECT u.ord, coalesce(
  (SELECT x.run_id FROM running x WHERE x.ckey = u.ckey AND x.ckey > 0 LIMIT 1),
  (SELECT w.run_id FROM waiting w WHERE w.ckey = u.ckey AND w.ckey > 0 AND w.phase < 2 AND (w.rank, w.start, w.run_id) < (u.rank, u.start, u.id) ORDER BY w.rank, w.start, w.run_id LIMIT 1), 0)
  FROM unnest($1::int[], $2::int[], $3::smallint[], $4::bigint[], $5::bigint[]) u (ord, ckey, rank, start, id)`
)

// maxAsks bounds the asks of a run, so that no call has to write more reports
// than these. Whatever would bring more makes a run of its own.
const maxAsks = 10_000

// submitting is one call of Submit.
type submitting struct{ runs []*newRun }

// newRun is a submission in the form of its rows.
type newRun struct {
	key             pgtype.UUID // not noted when it is NULL
	asks            []newAsk
	lane            lane
	def             int32
	ckey, climit    int32
	rank            int16
	start, now      int64
	patience, delay int64
	merge, alike    pgtype.UUID
	reject          bool
	retryOf, after  int64
	args            []byte
	approval        *bellhop.Approval // nil: it needs none
	audit           *auditRow         // nil: none
	out             bellhop.Submitted
}

type newAsk struct {
	principal       string
	session, server *string
	rest            []byte
}

func packNewAsk(a *bellhop.Ask) newAsk {
	return newAsk{principal: text(a.Principal), session: textOrNull(a.Origin.Session), server: textOrNull(a.Origin.Server), rest: packAsk(a)}
}

// prepareRun turns a spec into rows, and names its lane. A definition that is
// not stored is an Invalid error.
func (d *db) prepareRun(ctx context.Context, s *bellhop.RunSpec) (*newRun, error) {
	args, err := encodeArgs(s.Args)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the arguments of %s %s can't be stored: %w", s.Service, s.Job, err)
	}
	n := &newRun{
		args: args, rank: rankOf(s.Priority), start: micros(s.Start), patience: s.Deadline.Microseconds(), delay: s.MaxDelay.Microseconds(),
		merge: hash(s.MergeKey), alike: hash(s.AlikeKey), reject: s.Reject && s.AlikeKey != "", retryOf: int64(s.RetryOf), after: int64(s.After), approval: s.Approval,
	}
	if n.def, err = d.names.definition(ctx, s.Digest); err != nil {
		return nil, err
	}
	if n.def == 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "a run of %s %s names definition %.40q, which is not in the store; store it first", s.Service, s.Job, s.Digest)
	}
	if n.lane, err = d.names.lane(ctx, laneName{s.Service, s.Job, s.ConcurrencyKey}); err != nil {
		return nil, err
	}
	if s.Concurrency > 0 {
		n.ckey, n.climit = n.lane.bound, int32(s.Concurrency)
	}
	return n, nil
}

// Submit writes runs with their asks.
func (d *db) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	if d.closed.Load() {
		return nil, errClosed()
	}
	s := &submitting{runs: make([]*newRun, len(subs))}
	for i := range subs {
		sub := &subs[i]
		if sub.Ask.Key == "" {
			return nil, bellhop.Errorf(bellhop.Invalid, "a run of %s %s was asked for without a key; every ask needs one, so that it can be repeated", sub.Run.Service, sub.Run.Job)
		}
		n, err := d.prepareRun(ctx, &sub.Run)
		if err != nil {
			return nil, err
		}
		n.key, n.now, n.asks = hash(sub.Ask.Key), micros(sub.Now), []newAsk{packNewAsk(&sub.Ask)}
		if sub.Audit != nil {
			if n.audit, err = d.prepareAudit(sub.Audit); err != nil {
				return nil, err
			}
		}
		s.runs[i] = n
	}
	if len(subs) > 0 {
		if err := d.submits.do(ctx, s); err != nil {
			return nil, err
		}
	}
	out := make([]bellhop.Submitted, len(subs))
	for i, n := range s.runs {
		out[i] = n.out
	}
	return out, nil
}

// submitAll writes what several callers submitted.
func (d *db) submitAll(ctx context.Context, calls []*submitting) error {
	var runs []*newRun
	for _, c := range calls {
		runs = append(runs, c.runs...)
	}
	err := d.write(ctx, "submitting", func(t *tx) error { return t.submit(d, runs) })
	if errors.Is(err, errFate) { // what was written is found by its keys
		err = d.write(ctx, "submitting", func(t *tx) error { return t.submit(d, runs) })
	}
	return err
}

// seen is what a key made.
type seen struct {
	run      int64
	rejected bool
	start    int64
	ended    bool
	ckey     int32
	rank     int16
	runs     bool
}

// target is a run that asks may join: one of the store, or one of this change.
type target struct {
	id, created     int64
	ckey            int32
	rank            int16
	start, patience int64
	latest          int64
	asks            int
	joined          []newAsk // beyond those that are stored
	moved           bool     // it is to be written again
	sealed          bool     // another one has taken its merge key over
	held            bool     // until it is approved
	fresh           *newRun  // of this change
}

func (t *target) deadline() int64 {
	if t.patience == 0 {
		return 0
	}
	return t.start + t.patience
}

// submission is one change of several submissions.
type submission struct {
	t       *tx
	db      *db
	seen    map[pgtype.UUID]*seen
	targets map[pgtype.UUID]*target
	alike   map[pgtype.UUID]*target
	made    []*target
	moved   []*target
	full    []int64 // runs of the store whose merge key was taken over
	keys    []keyRow
	noted   map[pgtype.UUID]int // in keys
	behind  []behindRow
	audits  []audited
	limits  map[int32]int32 // by limited key: the last one
	now     int64
}

type keyRow struct {
	key      pgtype.UUID
	target   *target
	at       int64
	rejected bool
}

// audited is a record, and the run that it is about.
type audited struct {
	row    *auditRow
	target *target
}

// submit decides what becomes of each run, one after the other, by what was
// there and what those before it made of that; then it writes all at once.
// Whoever was quicker with a key or a merge makes the inserts fail, and the
// transaction is made again.
func (t *tx) submit(d *db, runs []*newRun) error {
	s := &submission{t: t, db: d, seen: map[pgtype.UUID]*seen{}, targets: map[pgtype.UUID]*target{}, alike: map[pgtype.UUID]*target{}, noted: map[pgtype.UUID]int{}, limits: map[int32]int32{}}
	if err := s.look(runs); err != nil {
		return err
	}
	for _, n := range runs {
		s.place(n)
	}
	return s.write()
}

// look reads what the submissions may meet.
func (s *submission) look(runs []*newRun) error {
	var keys, merges, alikes []pgtype.UUID
	var locks []int32
	for _, n := range runs {
		if n.key.Valid {
			keys = append(keys, n.key)
		}
		if n.merge.Valid {
			merges = append(merges, n.merge)
		}
		if n.reject {
			alikes = append(alikes, n.alike)
			locks = append(locks, int32(n.alike.Bytes[0])<<8|int32(n.alike.Bytes[1]))
		}
	}
	if len(alikes) > 0 { // of two at the same time, one sees the other
		slices.Sort(locks)
		s.t.each(sqlLockAlike, ignore, lockClassAlike, slices.Compact(locks))
	}
	if len(keys) > 0 {
		s.t.each(sqlSeen, s.readSeen, keys)
	}
	if len(merges) > 0 {
		s.t.each(sqlTargets, s.readTarget, merges)
	}
	if len(alikes) > 0 {
		s.t.each(sqlAlike, s.readAlike, alikes)
	}
	return s.t.flush()
}

func (s *submission) readSeen(r pgx.Rows) error {
	var key pgtype.UUID
	k := &seen{}
	s.seen[key] = k
	err := r.Scan(&key, &k.run, &k.rejected, &k.start, &k.ended, &k.ckey, &k.rank, &k.runs)
	s.seen[key] = k
	return err
}

func (s *submission) readTarget(r pgx.Rows) error {
	var merge pgtype.UUID
	t := &target{}
	err := r.Scan(&merge, &t.id, &t.asks, &t.ckey, &t.rank, &t.start, &t.latest, &t.patience, &t.held, &t.created)
	s.targets[merge] = t
	return err
}

func (s *submission) readAlike(r pgx.Rows) error {
	var alike pgtype.UUID
	t := &target{}
	err := r.Scan(&alike, &t.id, &t.start, &t.ckey, &t.rank, &t.held)
	if s.alike[alike] == nil {
		s.alike[alike] = t
	}
	return err
}

// place decides what becomes of one submission.
func (s *submission) place(n *newRun) {
	n.out = bellhop.Submitted{}
	s.now = max(s.now, n.now)
	if n.key.Valid {
		if k := s.seen[n.key]; k != nil {
			s.repeat(n, k)
			return
		}
		if k, ok := s.noted[n.key]; ok {
			s.repeatFresh(n, s.keys[k])
			return
		}
	}
	if n.reject {
		if t := s.alike[n.alike]; t != nil {
			s.note(n, t, true)
			s.tell(n, t, bellhop.Rejected)
			return
		}
	}
	if n.merge.Valid {
		if t := s.targets[n.merge]; t != nil {
			if t.asks+len(n.asks) <= maxAsks {
				s.join(n, t)
				return
			}
			s.seal(t)
		}
	}
	s.limit(n)
	t := &target{ckey: n.ckey, rank: n.rank, start: n.start, patience: n.patience, created: n.now, asks: len(n.asks), joined: n.asks[1:], fresh: n, held: n.approval != nil}
	if n.delay > 0 {
		t.latest = n.now + n.delay
	}
	if n.merge.Valid {
		s.targets[n.merge] = t
	}
	if n.alike.Valid && s.alike[n.alike] == nil {
		s.alike[n.alike] = t
	}
	s.made = append(s.made, t)
	s.note(n, t, false)
	s.tell(n, t, bellhop.Created)
}

// seal lets nothing more be merged into a run.
func (s *submission) seal(t *target) {
	t.sealed = true
	if t.fresh == nil {
		s.full = append(s.full, t.id)
	}
}

// join adds a submission to a run that was never claimed.
func (s *submission) join(n *newRun, t *target) {
	s.limit(n)
	if n.delay > 0 && (t.latest == 0 || t.created+n.delay < t.latest) {
		t.latest = t.created + n.delay
	}
	t.start = n.start
	if t.latest > 0 {
		t.start = min(t.start, t.latest)
	}
	t.rank = min(t.rank, n.rank)
	if t.patience == 0 {
		t.patience = n.patience
	}
	t.asks += len(n.asks)
	t.joined = append(t.joined[:len(t.joined):len(t.joined)], n.asks...)
	if t.fresh == nil && !t.moved {
		t.moved = true
		s.moved = append(s.moved, t)
	}
	s.note(n, t, false)
	s.tell(n, t, bellhop.Merged)
}

// limit has the limit of a submission count for all runs of its key.
func (s *submission) limit(n *newRun) {
	if n.ckey > 0 {
		s.limits[n.ckey] = n.climit
	}
}

func (s *submission) writeLimits() {
	if len(s.limits) == 0 {
		return
	}
	ckeys := slices.Sorted(maps.Keys(s.limits))
	limits := make([]int32, len(ckeys))
	for i, key := range ckeys {
		limits[i] = s.limits[key]
	}
	s.t.do(sqlSetLimits, ckeys, limits, s.now)
}

func (s *submission) note(n *newRun, t *target, rejected bool) {
	if n.key.Valid {
		s.noted[n.key] = len(s.keys)
		s.keys = append(s.keys, keyRow{key: n.key, target: t, at: n.now, rejected: rejected})
	}
	if n.audit != nil {
		s.audits = append(s.audits, audited{n.audit, t})
	}
}

// tell answers a submission; the run's id is filled in when it is known.
func (s *submission) tell(n *newRun, t *target, how bellhop.How) {
	n.out = bellhop.Submitted{How: how, Start: timeOf(t.start)}
	b := behindRow{n: n, t: t, ckey: t.ckey, rank: t.rank, start: t.start}
	if t.held {
		b.ckey = 0 // it is behind nobody
	}
	s.behind = append(s.behind, b)
}

// repeat answers a submission whose key was seen before this change.
func (s *submission) repeat(n *newRun, k *seen) {
	n.out = bellhop.Submitted{Run: bellhop.RunID(k.run), How: bellhop.Repeated, Start: timeOf(k.start)}
	if k.run == 0 {
		return
	}
	if k.rejected {
		n.out.How = bellhop.Rejected
	} else {
		n.out.Ended = k.ended
	}
	s.behind = append(s.behind, behindRow{n: n, ckey: k.ckey, rank: k.rank, start: k.start, id: k.run})
}

// repeatFresh answers one whose key came in this change.
func (s *submission) repeatFresh(n *newRun, k keyRow) {
	how := bellhop.Repeated
	if k.rejected {
		how = bellhop.Rejected
	}
	s.tell(n, k.target, how)
}
