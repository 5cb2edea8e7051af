package sqlite

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
)

const (
	// By UNIQUE (digest).
	sqlPutDefinition = `INSERT INTO definition (digest, job) VALUES (?, ?) ON CONFLICT DO NOTHING`
	sqlGetDefinition = `SELECT job FROM definition WHERE digest = ?`

	// By PRIMARY KEY (key): whether it was seen is whether it went in.
	sqlInsertKey = `INSERT INTO key (key, run_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	sqlKeyRun    = `SELECT run_id FROM key WHERE key = ?`

	sqlInsertAsk = `INSERT INTO ask (run_id, n, principal, session, ask) VALUES (?, ?, ?, ?, ?)`
	// By PRIMARY KEY.
	sqlMergeQueue = `UPDATE queue SET start = ?, deadline = ?, bound = ?, priority = ?, asks = ? WHERE run_id = ?`
	sqlSeal       = `UPDATE queue SET merge = NULL WHERE run_id = ?`
	sqlCreated    = `SELECT created FROM run WHERE id = ?`
	sqlEndedStart = `SELECT start FROM ended WHERE run_id = ?`
)

// maxAsks bounds the asks of a run, so that no call has to write more reports
// than these. Whatever would bring more makes a run of its own.
const maxAsks = 10_000

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

// prepared is a run to be made in the form of its rows, as far as they can be
// made before the writer's turn.
type prepared struct {
	spec         *bellhop.RunSpec
	args         []byte
	merge, alike hash
	approval     *preparedApproval // nil: it needs none
	copied       bellhop.Args      // of spec's own, since its maker may change them
}

func prepareRun(spec *bellhop.RunSpec) (prepared, error) {
	if spec.Priority < 0 || spec.Priority > 9 {
		return prepared{}, bellhop.Errorf(bellhop.Invalid, "a run of %s %s can't have priority %d; priorities are 0 to 9", spec.Service, spec.Job, spec.Priority)
	}
	args, err := encodeArgs(spec.Args)
	if err != nil {
		return prepared{}, bellhop.Errorf(bellhop.Invalid, "the arguments of %s %s can't be stored: %w", spec.Service, spec.Job, err)
	}
	p := prepared{spec: spec, args: args, merge: hashOf(spec.MergeKey), alike: hashOf(spec.AlikeKey)}
	if spec.Approval != nil {
		p.approval = prepareApproval(spec.Approval)
	}
	if len(args) <= maxFactSize {
		p.copied = maps.Clone(spec.Args)
		if p.copied == nil {
			p.copied = bellhop.Args{}
		}
	}
	return p, nil
}

// preparedAsk is an ask in the form of its row.
type preparedAsk struct {
	ask    *bellhop.Ask
	packed []byte
}

func prepareAsk(a *bellhop.Ask) preparedAsk { return preparedAsk{a, packAsk(a)} }

// preparedSubmission is a Submission before the writer's turn.
type preparedSubmission struct {
	run   prepared
	ask   preparedAsk
	key   string
	now   int64
	audit *trail.Record // nil: none
}

func (d *db) prepareSubmission(s *bellhop.Submission) (preparedSubmission, error) {
	if s.Ask.Key == "" {
		return preparedSubmission{}, bellhop.Errorf(bellhop.Invalid, "a run of %s %s was asked for without a key; every ask needs one, so that it can be repeated", s.Run.Service, s.Run.Job)
	}
	run, err := prepareRun(&s.Run)
	p := preparedSubmission{run: run, ask: prepareAsk(&s.Ask), key: keyOf(s.Ask.Key), now: micros(s.Now)}
	if err == nil && s.Audit != nil {
		p.audit, err = d.prepareAudit(s.Audit)
	}
	return p, err
}

// Submit writes runs with their asks.
func (d *db) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	prep := make([]preparedSubmission, len(subs))
	for i := range subs {
		var err error
		if prep[i], err = d.prepareSubmission(&subs[i]); err != nil {
			return nil, err
		}
	}
	out := make([]bellhop.Submitted, len(subs))
	var refused error // for what is wrong with the request; nothing was written then
	err := d.do(ctx, func(t *tx) (err error) {
		for i := range prep {
			if refused, err = t.checkDefinition(prep[i].run.spec); refused != nil || err != nil {
				return err
			}
		}
		fresh := false
		for i := range prep {
			if out[i], err = t.submit(&prep[i]); err != nil {
				return err
			}
			fresh = fresh || out[i].How != bellhop.Repeated
		}
		if fresh {
			return t.checkRoom()
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

func (t *tx) checkDefinition(spec *bellhop.RunSpec) (refused, err error) {
	if id, err := t.definition(spec.Digest); err != nil || id != 0 {
		return nil, err
	}
	return bellhop.Errorf(bellhop.Invalid, "a run of %s %s names definition %.40q, which is not in the store; store it first", spec.Service, spec.Job, spec.Digest), nil
}

func (t *tx) submit(p *preparedSubmission) (bellhop.Submitted, error) {
	target, how := t.target(&p.run, 1)
	noted := t.nextRun
	switch how {
	case bellhop.Merged:
		noted = target.id
	case bellhop.Rejected:
		noted = -target.id
	}
	fresh, err := t.c.exec(sqlInsertKey, p.key, noted, p.now)
	if err != nil {
		return bellhop.Submitted{}, err
	}
	if fresh == 0 {
		return t.repeated(p.key)
	}
	switch how {
	case bellhop.Rejected:
	case bellhop.Merged:
		err = t.merge(target, &p.run, &p.ask)
	default:
		if err = t.seal(p.run.merge); err == nil {
			target, err = t.create(&p.run, &p.ask, 0, p.now)
		}
	}
	if err == nil && p.audit != nil {
		err = t.record(p.audit, bellhop.RunID(target.id))
	}
	if err != nil {
		return bellhop.Submitted{}, err
	}
	out := bellhop.Submitted{Run: bellhop.RunID(target.id), How: how, Start: timeOf(target.start)}
	if how != bellhop.Rejected {
		out.Behind = t.q.behind(target)
	}
	return out, nil
}

// target returns the run that a submission with so many asks is about, unless
// it makes one.
func (t *tx) target(p *prepared, asks int64) (*entry, bellhop.How) {
	if p.spec.Reject && p.alike != (hash{}) {
		if l := t.q.alike[p.alike]; l != nil {
			return l.first, bellhop.Rejected
		}
	}
	if p.merge != (hash{}) {
		if e := t.q.merge[p.merge]; e != nil && e.asks+asks <= maxAsks {
			return e, bellhop.Merged
		}
	}
	return nil, bellhop.Created
}

// seal lets nothing more be merged into the run with a merge key, before
// another one takes the key over.
func (t *tx) seal(merge hash) error {
	e := t.q.merge[merge]
	if e == nil {
		return nil
	}
	t.q.change(e, func() { e.merge = hash{} })
	_, err := t.exec(sqlSeal, e.id)
	return err
}

// create writes a new run with its first ask.
func (t *tx) create(p *prepared, a *preparedAsk, after bellhop.RunID, now int64) (*entry, error) {
	spec, id := p.spec, t.nextRun
	job, err := t.job(jobName{spec.Service, spec.Job})
	if err != nil {
		return nil, err
	}
	l, err := t.lane(laneName{job, spec.ConcurrencyKey})
	if err != nil {
		return nil, err
	}
	def, err := t.definition(spec.Digest)
	if err != nil {
		return nil, err
	}
	principal, err := t.principal(a.ask.Principal)
	if err != nil {
		return nil, err
	}
	e := &entry{
		id: id, lane: l.id, start: micros(spec.Start), priority: uint8(spec.Priority), asks: 1,
		merge: p.merge, alike: p.alike,
	}
	if spec.Concurrency > 0 {
		e.key = l.bound
	}
	if spec.Deadline > 0 {
		e.deadline = e.start + spec.Deadline.Microseconds()
	}
	if spec.MaxDelay > 0 {
		e.bound = now + spec.MaxDelay.Microseconds()
	}
	t.queue.add(id, l.id, e.start, numberOrNull(e.key), int64(e.priority), e.deadline, e.bound, e.merge.blob(), e.alike.blob())
	t.run.add(id, job, def, now, numberOrNull(int64(spec.RetryOf)), numberOrNull(int64(after)), principal,
		textOrNull(a.ask.Origin.Session), a.packed, blobOrNull(p.args))
	if err := t.flushFull(t.run); err != nil {
		return nil, err
	}
	if err := t.noteTime(&t.runPace, now); err != nil {
		return nil, err
	}
	t.nextRun++
	if p.approval != nil {
		err = t.await(e, p.approval, now)
	} else if p.copied != nil && len(a.packed) <= maxFactSize && t.q.facts < maxFacts {
		e.facts = newFacts(p, a, id, principal, after, now)
	}
	if err != nil {
		return nil, err
	}
	t.q.add(e)
	return e, t.setLimit(e, spec)
}

// setLimit has the limit of a submission count for all runs of its key.
func (t *tx) setLimit(e *entry, spec *bellhop.RunSpec) error {
	if e.key == 0 || spec.Concurrency <= 0 {
		return nil
	}
	bound, err := t.laneByID(e.key)
	if err != nil {
		return err
	}
	limit := int64(spec.Concurrency)
	t.q.setLimit(e.key, limit)
	if bound.limit == limit {
		return nil
	}
	bound.limit = limit
	_, err = t.exec(sqlSetLimit, limit, bound.id)
	return err
}

func newFacts(p *prepared, a *preparedAsk, id, principal int64, after bellhop.RunID, now int64) *facts {
	f := &facts{ask: *a.ask, principal: principal}
	f.ask.N, f.ask.Withdrawn, f.ask.At = 0, false, timeOf(micros(a.ask.At))
	f.run = bellhop.Run{
		ID: bellhop.RunID(id), Service: p.spec.Service, Job: p.spec.Job, Digest: p.spec.Digest, Args: p.copied, AskedBy: a.ask.Principal,
		Origin: a.ask.Origin, Created: timeOf(now), RetryOf: p.spec.RetryOf, After: after,
	}
	return f
}

// merge joins a run that was never claimed.
func (t *tx) merge(e *entry, p *prepared, a *preparedAsk) error {
	principal, err := t.principal(a.ask.Principal)
	if err != nil {
		return err
	}
	if _, err := t.exec(sqlInsertAsk, e.id, e.asks, principal, textOrNull(a.ask.Origin.Session), a.packed); err != nil {
		return err
	}
	bound := e.bound
	if p.spec.MaxDelay > 0 {
		created, err := t.number(sqlCreated, e.id)
		if err != nil {
			return err
		}
		if own := created + p.spec.MaxDelay.Microseconds(); bound == 0 || own < bound {
			bound = own
		}
	}
	start, deadline := micros(p.spec.Start), e.deadline
	if bound != 0 {
		start = min(start, bound)
	}
	if deadline != 0 {
		deadline += start - e.start
	}
	t.q.change(e, func() {
		e.start, e.deadline, e.bound, e.asks = start, deadline, bound, e.asks+1
		e.priority = max(e.priority, uint8(p.spec.Priority))
		if e.waits() {
			e.phase, e.hold = phaseFuture, 0 // until a claim has looked at it
		}
	})
	if _, err := t.exec(sqlMergeQueue, e.start, e.deadline, e.bound, int64(e.priority), e.asks, e.id); err != nil {
		return err
	}
	return t.setLimit(e, p.spec)
}

// repeated tells what a key made when it was first seen.
func (t *tx) repeated(key string) (bellhop.Submitted, error) {
	id, err := t.c.number(sqlKeyRun, key)
	out := bellhop.Submitted{Run: bellhop.RunID(id), How: bellhop.Repeated}
	if id < 0 {
		out = bellhop.Submitted{Run: bellhop.RunID(-id), How: bellhop.Rejected}
	}
	if err != nil || id == 0 {
		return out, err
	}
	if e := t.q.byID[int64(out.Run)]; e != nil {
		out.Start = timeOf(e.start)
		if out.How == bellhop.Repeated {
			out.Behind = t.q.behind(e)
		}
		return out, nil
	}
	out.Ended = out.How == bellhop.Repeated
	start, err := t.number(sqlEndedStart, int64(out.Run))
	out.Start = timeOf(start)
	return out, err
}
