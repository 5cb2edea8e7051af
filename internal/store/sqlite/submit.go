package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/json"

	"github.com/bellhop-io/bellhop"
)

const (
	// By UNIQUE (digest).
	sqlPutDefinition = `INSERT INTO definition (digest, job) VALUES (?, ?) ON CONFLICT DO NOTHING`
	sqlGetDefinition = `SELECT job FROM definition WHERE digest = ?`

	// By PRIMARY KEY (key): whether it was seen is whether it went in.
	sqlInsertKey = `INSERT INTO key (key, run_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	sqlKeyRun    = `SELECT run_id FROM key WHERE key = ?`
	sqlMoveKey   = `UPDATE key SET run_id = ? WHERE key = ?`

	// By queue_merge: whether it merges is whether it went in.
	sqlInsertQueue = `INSERT INTO queue (run_id, phase, start, lane, ckey, climit, merge) VALUES (?, 0, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	sqlMergeTarget = `SELECT run_id, asks, ckey FROM queue WHERE merge = ?`
	sqlMergeQueue  = `UPDATE queue SET phase = 0, start = ?, asks = asks + 1 WHERE run_id = ?`
	sqlInsertAsk   = `INSERT INTO ask (run_id, n, principal, session, ask) VALUES (?, ?, ?, ?, ?)`

	sqlInsertRun = `INSERT INTO run (id, lane, definition, retry_of, created, start, principal, session, ask, args) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	// By PRIMARY KEY.
	sqlQueued   = `SELECT start, ckey FROM queue WHERE run_id = ?`
	sqlRunStart = `SELECT start FROM run WHERE id = ?`

	// By queue_key, thrice: one that runs, else one held back, else one that
	// waits for an earlier start.
	sqlBehind = `SELECT coalesce(
  (SELECT run_id FROM queue WHERE ckey = ?1 AND phase = 2 LIMIT 1),
  (SELECT run_id FROM queue WHERE ckey = ?1 AND phase = 1 AND (start, run_id) < (?2, ?3) ORDER BY start, run_id LIMIT 1),
  (SELECT run_id FROM queue WHERE ckey = ?1 AND phase = 0 AND (start, run_id) < (?2, ?3) ORDER BY start, run_id LIMIT 1), 0)`
)

// PutDefinitions stores those that are not there yet.
func (d *db) PutDefinitions(ctx context.Context, defs []bellhop.Definition) error {
	jobs := make([][]byte, len(defs))
	for i, def := range defs {
		var err error
		if jobs[i], err = json.Marshal(def.Job); err != nil {
			return bellhop.Errorf(bellhop.Invalid, "job %s %s can't be stored: %w", def.Job.Service, def.Job.Name, err)
		}
	}
	return d.do(ctx, func(t *tx) error {
		for i, def := range defs {
			if _, err := t.exec(sqlPutDefinition, def.Digest, jobs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Definition returns the job with that digest, or NotFound.
func (d *db) Definition(ctx context.Context, digest string) (bellhop.Job, error) {
	var job bellhop.Job
	found := false
	err := d.read(ctx, "a definition", func(c *conn) error {
		return c.query(ctx, sqlGetDefinition, func(r row) error {
			found = true
			if err := json.Unmarshal(r.blob(0), &job); err != nil {
				return errBadRow("a job's definition")
			}
			return errStop
		}, digest)
	})
	if err == nil && !found {
		err = bellhop.Errorf(bellhop.NotFound, "the store has no definition %.40q of a job; it was put there by no configuration", digest)
	}
	return job, err
}

// prepared is a Submission in the form of its rows, made before the writer's
// turn.
type prepared struct {
	sub          *bellhop.Submission
	start        int64
	args, merge  []byte
	ask          []byte
	lane         laneName
	limited      bool
	now, retryOf int64
}

func prepareSubmission(s *bellhop.Submission) (prepared, error) {
	if s.Ask.Key == "" {
		return prepared{}, bellhop.Errorf(bellhop.Invalid, "a run of %s %s was asked for without a key; every ask needs one, so that it can be repeated", s.Run.Service, s.Run.Job)
	}
	args, err := encodeArgs(s.Run.Args)
	if err != nil {
		return prepared{}, bellhop.Errorf(bellhop.Invalid, "the arguments of %s %s can't be stored: %w", s.Run.Service, s.Run.Job, err)
	}
	p := prepared{
		sub: s, start: micros(s.Run.Start), args: args, ask: packAsk(&s.Ask), now: micros(s.Now), retryOf: int64(s.Run.RetryOf),
		lane: laneName{s.Run.Service, s.Run.Job, s.Run.ConcurrencyKey}, limited: s.Run.Concurrency > 0,
	}
	if s.Run.MergeKey != "" {
		sum := sha256.Sum256([]byte(s.Run.MergeKey))
		p.merge = sum[:16]
	}
	return p, nil
}

// Submit writes runs with their asks.
func (d *db) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	prep := make([]prepared, len(subs))
	for i := range subs {
		var err error
		if prep[i], err = prepareSubmission(&subs[i]); err != nil {
			return nil, err
		}
	}
	out := make([]bellhop.Submitted, len(subs))
	var refused error // for what is wrong with the request; nothing was written then
	err := d.do(ctx, func(t *tx) (err error) {
		if refused = t.checkDefinitions(prep); refused != nil {
			return nil
		}
		for i := range prep {
			if out[i], err = t.submit(&prep[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *tx) checkDefinitions(prep []prepared) error {
	for i := range prep {
		digest := prep[i].sub.Run.Digest
		if id, err := t.definition(digest); err != nil {
			return err
		} else if id == 0 {
			return bellhop.Errorf(bellhop.Invalid, "a run of %s %s names definition %.40q, which is not in the store; store it first", prep[i].sub.Run.Service, prep[i].sub.Run.Job, digest)
		}
	}
	return nil
}

func (t *tx) submit(p *prepared) (bellhop.Submitted, error) {
	id := t.nextRun
	fresh, err := t.exec(sqlInsertKey, p.sub.Ask.Key, id, p.now)
	if err != nil {
		return bellhop.Submitted{}, err
	}
	if fresh == 0 {
		return t.repeated(p.sub.Ask.Key)
	}
	l, err := t.lane(p.lane)
	if err != nil {
		return bellhop.Submitted{}, err
	}
	var ckey driver.Value
	if p.limited {
		ckey = l.bound
	}
	created, err := t.exec(sqlInsertQueue, id, p.start, l.id, ckey, int64(p.sub.Run.Concurrency), blobOrNull(p.merge))
	if err != nil {
		return bellhop.Submitted{}, err
	}
	if created == 0 {
		return t.merge(p)
	}
	def, err := t.definition(p.sub.Run.Digest)
	if err != nil {
		return bellhop.Submitted{}, err
	}
	a := &p.sub.Ask
	_, err = t.exec(sqlInsertRun, id, l.id, def, p.retryOf, p.now, p.start, a.Principal, textOrNull(a.Origin.Session), p.ask, blobOrNull(p.args))
	if err != nil {
		return bellhop.Submitted{}, err
	}
	t.nextRun++
	out := bellhop.Submitted{Run: bellhop.RunID(id), How: bellhop.Created, Start: timeOf(p.start)}
	if p.limited {
		out.Behind, err = t.behind(l.bound, p.start, id)
	}
	return out, err
}

// merge joins a run that was never claimed.
func (t *tx) merge(p *prepared) (bellhop.Submitted, error) {
	var id, asks, ckey int64
	err := t.query(sqlMergeTarget, func(r row) error {
		id, asks, ckey = r.int(0), r.int(1), r.int(2)
		return errStop
	}, p.merge)
	if err != nil {
		return bellhop.Submitted{}, err
	}
	a := &p.sub.Ask
	if _, err := t.exec(sqlInsertAsk, id, asks, a.Principal, textOrNull(a.Origin.Session), p.ask); err != nil {
		return bellhop.Submitted{}, err
	}
	if _, err := t.exec(sqlMergeQueue, p.start, id); err != nil {
		return bellhop.Submitted{}, err
	}
	if _, err := t.exec(sqlMoveKey, id, a.Key); err != nil {
		return bellhop.Submitted{}, err
	}
	out := bellhop.Submitted{Run: bellhop.RunID(id), How: bellhop.Merged, Start: timeOf(p.start)}
	if ckey == 0 {
		return out, nil
	}
	// It may have been next in its lane and have gone back: let others pass.
	if err := t.release(ckey); err != nil {
		return bellhop.Submitted{}, err
	}
	out.Behind, err = t.behind(ckey, p.start, id)
	return out, err
}

// repeated tells what a key made when it was first seen.
func (t *tx) repeated(key string) (bellhop.Submitted, error) {
	id, err := t.number(sqlKeyRun, key)
	out := bellhop.Submitted{Run: bellhop.RunID(id), How: bellhop.Repeated}
	if err != nil || id == 0 {
		return out, err
	}
	var start, ckey int64
	out.Ended = true
	err = t.query(sqlQueued, func(r row) error {
		start, ckey, out.Ended = r.int(0), r.int(1), false
		return errStop
	}, id)
	if err == nil && out.Ended {
		start, err = t.number(sqlRunStart, id)
	}
	out.Start = timeOf(start)
	if err == nil && ckey != 0 {
		out.Behind, err = t.behind(ckey, start, id)
	}
	return out, err
}

// behind returns a run of a limited key that runs, or waits before the given
// one.
func (t *tx) behind(ckey, start, id int64) (bellhop.RunID, error) {
	n, err := t.number(sqlBehind, ckey, start, id)
	if n == id { // it runs itself
		n = 0
	}
	return bellhop.RunID(n), err
}
