package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// maxScan bounds how many waiting runs one Claim keeps back.
	maxScan = 512
	// maxClaim bounds how many one Claim gives out.
	maxClaim = 1000
	// lockedPause is when to look again when all that may start is locked by
	// others, who are about to claim or to change it.
	lockedPause = 10 * time.Millisecond
)

// claimColumns are what candidate.scan reads.
const claimColumns = `r.id, j.service, j.name, d.digest, r.retry_of, r.after, r.created, r.withdrawn, r.principal, r.session, r.server, r.ask, r.args,
  c.rank, c.start, c.deadline, c.told, c.attempt, c.lease, c.ckey, coalesce(b.climit, 0), r.approval`

const joinNames = ` JOIN job j ON j.id = r.job JOIN definition d ON d.id = r.definition`

const joinLimit = ` LEFT JOIN bound b ON b.id = c.ckey`

const (
	sqlTryLock = `SELECT k, pg_try_advisory_xact_lock($1::int, k) FROM unnest($2::int[]) k`
	// By waiting_order, rank by rank, then the records by PRIMARY KEY.
	sqlReady = `WITH c AS MATERIALIZED (
  SELECT w.* FROM generate_series(0, 9) p (rank) CROSS JOIN LATERAL (
    SELECT * FROM waiting q WHERE q.phase = 0 AND q.rank = p.rank AND q.start <= $1 AND (q.deadline = 0 OR q.deadline > $1)
    ORDER BY q.start, q.run_id LIMIT $2 FOR UPDATE SKIP LOCKED) w LIMIT $2)
  SELECT ` + claimColumns + ` FROM c JOIN run r ON r.id = c.run_id` + joinNames + joinLimit
	// By PRIMARY KEY.
	sqlReadyOnly = `WITH c AS MATERIALIZED (SELECT * FROM waiting WHERE run_id = ANY ($1::bigint[]) AND phase < 3 ORDER BY run_id FOR UPDATE SKIP LOCKED)
  SELECT ` + claimColumns + ` FROM c JOIN run r ON r.id = c.run_id` + joinNames + joinLimit
	// By waiting_order, rank by rank.
	sqlNextStart = `SELECT n.start FROM generate_series(0, 9) p (rank) CROSS JOIN LATERAL (
    SELECT w.start FROM waiting w WHERE w.phase = 0 AND w.rank = p.rank AND (w.deadline = 0 OR w.deadline > $1) ORDER BY w.start, w.run_id LIMIT 1) n
  ORDER BY 1 LIMIT 1`
	// By running_key.
	sqlCountRunning = `SELECT ckey, count(*) FROM running WHERE ckey = ANY ($1::int[]) AND ckey > 0 GROUP BY ckey`

	sqlClaim = `WITH gone AS (DELETE FROM waiting WHERE run_id = ANY ($2::bigint[]) RETURNING *)
  INSERT INTO running (run_id, lease, attempt, rank, start, told, started, lease_end, lane, ckey, asks, alike, runner, cancel)
  SELECT run_id, lease + 1, attempt + 1, rank, start, told, $3, ` + storeNow + ` + $4::bigint, lane, ckey, asks, alike, $5, cancel FROM gone`
	sqlKeepByLimit = `UPDATE waiting SET phase = 1 WHERE run_id = ANY ($1::bigint[])`
	sqlKeepByHold  = `UPDATE waiting w SET phase = 2, hold = u.hold FROM unnest($1::bigint[], $2::bigint[]) u (id, hold) WHERE w.run_id = u.id`

	// The holds that keep runs back, one step in waiting_hold for each.
	withKeeping = `WITH RECURSIVE k (id) AS (
    (SELECT hold FROM waiting WHERE phase = 2 ORDER BY hold LIMIT 1)
    UNION ALL SELECT (SELECT w.hold FROM waiting w WHERE w.phase = 2 AND w.hold > k.id ORDER BY w.hold LIMIT 1) FROM k WHERE k.id IS NOT NULL)`
	// 1: there is more to let go at once.
	sqlKeptUntil = withKeeping + `
  SELECT min(CASE WHEN h.id IS NULL OR h.ended > 0 THEN 1 ELSE h.until END) FROM k LEFT JOIN hold h ON h.id = k.id
  WHERE k.id IS NOT NULL AND (h.id IS NULL OR h.ended > 0 OR h.until > 0)`
	// Of each hold that is over, the first ones, so that none of the others
	// would be claimed before them.
	sqlLetGo = withKeeping + `, o AS MATERIALIZED (
    SELECT w.run_id FROM k LEFT JOIN hold h ON h.id = k.id CROSS JOIN LATERAL (
      SELECT q.run_id FROM waiting q WHERE q.phase = 2 AND q.hold = k.id ORDER BY q.rank, q.start, q.run_id LIMIT $2 FOR UPDATE SKIP LOCKED) w
    WHERE k.id IS NOT NULL AND (h.id IS NULL OR h.ended > 0 OR (h.until > 0 AND h.until <= $1)))
  UPDATE waiting w SET phase = 0, hold = 0 FROM o WHERE w.run_id = o.run_id`
	// Those that open later too: they may before the claim is made.
	sqlClaimHolds = `SELECT ` + holdColumns + ` FROM hold h WHERE h.ended = 0 AND (h.until = 0 OR h.until > $1) ORDER BY h.until = 0, h.until, h.id`

	// By waiting_kept: of each key, the first of those that its limit keeps
	// back, as many as there is room for.
	letPassHead = `WITH h AS MATERIALIZED (SELECT p.run_id FROM unnest($1::int[]) k CROSS JOIN LATERAL (
    SELECT w.run_id FROM waiting w WHERE w.ckey = k AND w.phase = 1 AND (w.deadline = 0 OR w.deadline > $2) ORDER BY w.rank, w.start, w.run_id
    LIMIT greatest(0, coalesce((SELECT b.climit FROM bound b WHERE b.id = k), 0) - (SELECT count(*) FROM running x WHERE x.ckey = k AND x.ckey > 0))
    FOR UPDATE`
	letPassTail    = `) p) UPDATE waiting w SET phase = 0 FROM h WHERE w.run_id = h.run_id`
	sqlLetPass     = letPassHead + ` SKIP LOCKED` + letPassTail
	sqlLetPassWait = letPassHead + letPassTail

	// By PRIMARY KEY.
	sqlFirstAsks = `SELECT DISTINCT ON (run_id) run_id, principal FROM ask WHERE run_id = ANY ($1::bigint[]) AND NOT withdrawn ORDER BY run_id, n`
)

// letPass puts runs that their limit kept back into the order of claims again.
// It is called after whatever makes room. Who has the keys locked waits for
// rows that others have; the others, who never have, leave those out: they are
// being moved, and whoever moves them lets pass in turn.
func (t *tx) letPass(ckeys []int32, now int64, locked bool) {
	if ckeys = sortedBounds(ckeys); len(ckeys) == 0 {
		return
	}
	if locked {
		t.do(sqlLetPassWait, ckeys, now)
	} else {
		t.do(sqlLetPass, ckeys, now)
	}
}

// lockBounds locks limited keys until the end of the transaction.
func (t *tx) lockBounds(ckeys []int32) {
	if len(ckeys) > 0 {
		t.each(sqlLock, ignore, lockClassBound, ckeys)
	}
}

// candidate is a waiting run that may start, locked.
type candidate struct {
	run       bellhop.Run
	withdrawn bool // ask 0
	rank      int16
	deadline  int64
	lease     int64
	ckey      int32
	climit    int64
}

func (c *candidate) scan(r pgx.Rows) error {
	var rest, args, approval []byte
	var start, told, created int64
	var session, server *string
	var lease int32
	run := &c.run
	err := r.Scan(&run.ID, &run.Service, &run.Job, &run.Digest, &run.RetryOf, &run.After, &created, &c.withdrawn, &run.AskedBy, &session, &server, &rest, &args,
		&c.rank, &start, &c.deadline, &told, &run.Attempt, &lease, &c.ckey, &c.climit, &approval)
	if err != nil {
		return err
	}
	var ask bellhop.Ask
	if err := unpackAsk(rest, &ask); err != nil {
		return err
	}
	run.Origin = ask.Origin
	run.Origin.Session, run.Origin.Server = orEmpty(session), orEmpty(server)
	run.Created, run.Start, run.Deadline, run.Priority, c.lease = timeOf(created), timeOf(start), timeOf(told), int(9-c.rank), int64(lease)
	if run.Approval, err = decodeApproval(approval); err != nil {
		return err
	}
	run.Args, err = decodeArgs(args)
	return err
}

// claiming is one call of Claim at work.
type claiming struct {
	t       *tx
	req     *bellhop.ClaimRequest
	clock   bellhop.Clock
	began   time.Time // by clock
	now     int64     // by the claimer's clock, after what was waited for
	holds   []bellhop.Hold
	found   []*candidate
	taken   []*candidate
	asked   map[int64]string // who asked first, where ask 0 is withdrawn
	running map[int32]int64  // by limited key
	locked  map[int32]bool   // limited keys
	next    time.Time
}

// Claim takes runs whose start has come.
func (d *db) Claim(ctx context.Context, req bellhop.ClaimRequest) ([]bellhop.ClaimedRun, time.Time, error) {
	req.N = min(max(req.N, 0), maxClaim)
	clock := d.given
	if clock == nil {
		clock = d.clock // how long it waited is this machine's matter
	}
	began := clock.Now()
	var c *claiming
	err := d.write(ctx, "claiming", func(t *tx) error {
		c = &claiming{t: t, req: &req, clock: clock, began: began, asked: map[int64]string{}, running: map[int32]int64{}, locked: map[int32]bool{}}
		c.tick()
		t.each(sqlLockedShared, ignore, lockClassHolds)
		t.each(sqlClaimHolds, func(r pgx.Rows) error {
			h, err := scanHold(r)
			c.holds = append(c.holds, h)
			return err
		}, c.now)
		t.do(sqlLetGo, c.now, max(maxScan, req.N))
		if req.Only != nil {
			return c.only(d)
		}
		return c.any(d)
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	runs := make([]bellhop.ClaimedRun, len(c.taken))
	started := timeOf(c.now)
	for i, k := range c.taken {
		run := k.run
		begun := started
		run.State, run.Started, run.Attempt = bellhop.Running, &begun, run.Attempt+1
		principal := run.AskedBy
		if k.withdrawn {
			principal = c.asked[int64(run.ID)]
		}
		runs[i] = bellhop.ClaimedRun{Run: run, Lease: k.lease + 1, Principal: principal}
	}
	return runs, c.next, nil
}

// tick sets the time again by which runs are judged. Windows may open, and
// deadlines pass, while a claim waits for locks.
func (c *claiming) tick() {
	c.now = micros(c.req.Now.Add(max(0, c.clock.Now().Sub(c.began))))
}

// late: it was never claimed and its deadline has passed.
func (c *claiming) late(k *candidate) bool { return k.deadline > 0 && k.deadline <= c.now }

// look reads candidates.
func (c *claiming) look(sql string, args ...any) error {
	c.found = nil
	c.t.each(sql, func(r pgx.Rows) error {
		k := &candidate{}
		c.found = append(c.found, k)
		return k.scan(r)
	}, args...)
	err := c.t.flush()
	slices.SortFunc(c.found, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), a.run.Start.Compare(b.run.Start), cmp.Compare(a.run.ID, b.run.ID))
	})
	return err
}

// any claims in order. Runs that a limit or a hold keeps back leave that order
// until there is room again, so that the next call does not meet them.
func (c *claiming) any(d *db) error {
	locked := false // nothing was found though there was room for more
	for scanned := 0; ; {
		want := min(c.req.N-len(c.taken), max(maxScan, c.req.N)-scanned)
		if want <= 0 {
			break
		}
		if err := c.look(sqlReady, c.now, want); err != nil {
			return err
		}
		scanned += len(c.found)
		locked = len(c.found) == 0
		if err := c.count(c.found); err != nil {
			return err
		}
		c.tick()
		var full, kept, holds []int64
		var passing []int32
		from := len(c.taken)
		busy := false // others work with a key: what is of it stays for the next call
		for _, k := range c.found {
			if h := c.keeps(k); c.late(k) {
				continue
			} else if h != nil {
				kept, holds = append(kept, int64(k.run.ID)), append(holds, h.ID)
				passing = append(passing, k.ckey)
			} else if k.ckey > 0 && !c.locked[k.ckey] {
				busy = true
			} else if !c.take(k) {
				full = append(full, int64(k.run.ID))
			}
		}
		passing = sortedBounds(passing)
		if err := c.write(d, c.taken[from:]); err != nil {
			return err
		}
		if len(full) > 0 {
			c.t.do(sqlKeepByLimit, full)
		}
		if len(kept) > 0 {
			c.t.do(sqlKeepByHold, kept, holds)
			c.t.letPass(passing, c.now, false)
		}
		if busy || len(c.found) < want && len(passing) == 0 {
			break
		}
	}
	c.ask(locked)
	return nil
}

// keeps returns the hold that keeps a run back: the one that ends first.
func (c *claiming) keeps(k *candidate) *bellhop.Hold {
	at := timeOf(c.now)
	for i := range c.holds {
		if h := &c.holds[i]; h.Open(at) && h.Covers(k.run.Service, k.run.Job, k.run.Args) {
			return h
		}
	}
	return nil
}

// count locks the limited keys of candidates, and counts what runs of them.
// Keys are waited for in their order, so only once: of those that a later look
// brings, it leaves out (busy) what others have.
func (c *claiming) count(found []*candidate) error {
	var ckeys []int32
	for _, k := range found {
		ckeys = append(ckeys, k.ckey)
	}
	ckeys = slices.DeleteFunc(sortedBounds(ckeys), func(k int32) bool { return c.locked[k] })
	if len(ckeys) == 0 {
		return nil
	}
	if len(c.locked) == 0 {
		c.t.lockBounds(ckeys)
		for _, key := range ckeys {
			c.locked[key] = true
		}
	} else {
		c.t.each(sqlTryLock, func(r pgx.Rows) error {
			var key int32
			var ok bool
			err := r.Scan(&key, &ok)
			if ok {
				c.locked[key] = true
			}
			return err
		}, lockClassBound, ckeys)
		if err := c.t.flush(); err != nil {
			return err
		}
		ckeys = slices.DeleteFunc(ckeys, func(k int32) bool { return !c.locked[k] })
	}
	c.t.each(sqlCountRunning, func(r pgx.Rows) error {
		var key int32
		var n int64
		err := r.Scan(&key, &n)
		c.running[key] = n
		return err
	}, ckeys)
	return c.t.flush()
}

// take takes a run unless its limit leaves no room.
func (c *claiming) take(k *candidate) bool {
	if k.ckey > 0 {
		if c.running[k.ckey] >= k.climit {
			return false
		}
		c.running[k.ckey]++
	}
	c.taken = append(c.taken, k)
	return true
}

// write begins runs.
func (c *claiming) write(d *db, taken []*candidate) error {
	if len(taken) == 0 {
		return nil
	}
	ids := make([]int64, len(taken))
	var withdrawn []int64
	for i, k := range taken {
		ids[i] = int64(k.run.ID)
		if k.withdrawn {
			withdrawn = append(withdrawn, ids[i])
		}
	}
	c.t.do(sqlClaim, d.now(), ids, c.now, c.req.Lease.Microseconds(), textOrNull(c.req.Runner))
	if len(withdrawn) == 0 {
		return nil
	}
	c.t.each(sqlFirstAsks, func(r pgx.Rows) error {
		var id int64
		var who string
		err := r.Scan(&id, &who)
		c.asked[id] = who
		return err
	}, withdrawn)
	return c.t.flush()
}

// ask finds out when to look again. When the answer is lost with the
// connection, that is at once.
func (c *claiming) ask(locked bool) {
	c.next = timeOf(micros(c.req.Now))
	var first int64 // 0: nothing is planned
	c.t.each(sqlNextStart, func(r pgx.Rows) error {
		err := r.Scan(&first)
		if locked && first <= c.now {
			first = c.now + lockedPause.Microseconds()
		}
		return err
	}, c.now)
	c.t.each(sqlKeptUntil, func(r pgx.Rows) error {
		var until *int64
		if err := r.Scan(&until); err != nil {
			return err
		}
		if until != nil && (first == 0 || *until < first) {
			first = *until
		}
		c.next = timeOf(first)
		return nil
	})
}

// only claims among the runs that the request names. It moves no others.
func (c *claiming) only(d *db) error {
	ids := make([]int64, len(c.req.Only))
	for i, id := range c.req.Only {
		ids[i] = int64(id)
	}
	slices.Sort(ids)
	if err := c.look(sqlReadyOnly, slices.Compact(ids)); err != nil {
		return err
	}
	if err := c.count(c.found); err != nil {
		return err
	}
	c.tick()
	next := time.Time{}
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, k := range c.found {
		switch h := c.keeps(k); {
		case c.late(k):
		case micros(k.run.Start) > c.now:
			later(k.run.Start)
		case h != nil:
			if !h.Until.IsZero() {
				later(h.Until)
			}
		case k.ckey > 0 && c.running[k.ckey] >= k.climit:
		case len(c.taken) == c.req.N:
			later(timeOf(micros(c.req.Now)))
		default:
			c.take(k)
		}
	}
	c.next = next
	return c.write(d, c.taken)
}
