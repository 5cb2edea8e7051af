package postgres

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// maxRemembered bounds each map of names: lanes may be as many as there are
// arguments in a concurrency key.
const maxRemembered = 8192

// names remembers the numbers of definitions and lanes. They are made once and
// never change, in transactions of their own, so what is known stays right.
type names struct {
	db *db

	mu    sync.Mutex
	defs  map[string]int32
	lanes map[laneName]lane
}

type laneName struct{ service, job, ckey string }

type lane struct{ id, job, bound int32 }

func newNames(d *db) *names {
	return &names{db: d, defs: map[string]int32{}, lanes: map[laneName]lane{}}
}

const (
	// By UNIQUE (digest).
	sqlPutDefinitions = `INSERT INTO definition (digest, job) SELECT * FROM unnest($1::text[], $2::bytea[]) ORDER BY 1 ON CONFLICT DO NOTHING`
	sqlGetDefinition  = `SELECT job FROM definition WHERE digest = $1`
	sqlDefinitionID   = `SELECT id FROM definition WHERE digest = $1`

	// By UNIQUE (service, name), (ckey) and (job, bound).
	sqlPutJob   = `INSERT INTO job (service, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	sqlPutBound = `INSERT INTO bound (ckey) VALUES ($1) ON CONFLICT DO NOTHING`
	sqlPutLane  = `INSERT INTO lane (job, bound) SELECT j.id, b.id FROM job j, bound b WHERE j.service = $1 AND j.name = $2 AND b.ckey = $3 ON CONFLICT DO NOTHING`
	sqlGetLane  = `SELECT l.id, l.job, l.bound FROM job j, bound b, lane l
  WHERE j.service = $1 AND j.name = $2 AND b.ckey = $3 AND l.job = j.id AND l.bound = b.id`
)

// PutDefinitions stores those that are not there yet.
func (d *db) PutDefinitions(ctx context.Context, defs []bellhop.Definition) error {
	digests, jobs := make([]string, len(defs)), make([][]byte, len(defs))
	for i, def := range defs {
		b, err := json.Marshal(def.Job)
		if err != nil {
			return bellhop.Errorf(bellhop.Invalid, "job %s %s can't be stored: %w", def.Job.Service, def.Job.Name, err)
		}
		digests[i], jobs[i] = def.Digest, b
	}
	return d.write(ctx, "storing definitions", func(t *tx) error {
		t.do(sqlPutDefinitions, digests, jobs)
		return nil
	})
}

// Definition returns the job with that digest, or NotFound.
func (d *db) Definition(ctx context.Context, digest string) (job bellhop.Job, err error) {
	found := false
	err = d.read(ctx, "a definition", sqlGetDefinition, func() { found = false }, func(r pgx.Rows) error {
		var b []byte
		if err := r.Scan(&b); err != nil {
			return err
		}
		found = true
		if json.Unmarshal(b, &job) != nil {
			return errBadRow("a job's definition")
		}
		return nil
	}, text(digest))
	if err == nil && !found {
		err = bellhop.Errorf(bellhop.NotFound, "the store has no definition %.40q of a job; it was put there by no configuration", digest)
	}
	return job, err
}

// definition returns the number of a stored definition, 0 when it is not
// stored.
func (n *names) definition(ctx context.Context, digest string) (id int32, err error) {
	n.mu.Lock()
	id, ok := n.defs[digest]
	n.mu.Unlock()
	if ok {
		return id, nil
	}
	err = n.db.read(ctx, "a definition", sqlDefinitionID, func() {}, func(r pgx.Rows) error { return r.Scan(&id) }, text(digest))
	if err != nil || id == 0 {
		return 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.defs) >= maxRemembered {
		clear(n.defs)
	}
	n.defs[digest] = id
	return id, nil
}

// lane finds or makes a lane.
func (n *names) lane(ctx context.Context, name laneName) (l lane, err error) {
	n.mu.Lock()
	l, ok := n.lanes[name]
	n.mu.Unlock()
	if ok {
		return l, nil
	}
	service, job, ckey := text(name.service), text(name.job), text(name.ckey)
	get := func() error {
		return n.db.read(ctx, "a lane", sqlGetLane, func() {}, func(r pgx.Rows) error { return r.Scan(&l.id, &l.job, &l.bound) }, service, job, ckey)
	}
	if err := get(); err != nil {
		return lane{}, err
	}
	if l.id == 0 {
		err := n.db.write(ctx, "naming a lane", func(t *tx) error {
			t.do(sqlPutJob, service, job)
			t.do(sqlPutBound, ckey)
			// Only then are the two seen that somebody else made at the same time.
			if err := t.flush(); err != nil {
				return err
			}
			t.do(sqlPutLane, service, job, ckey)
			return nil
		})
		if err == nil {
			err = get()
		}
		if err == nil && l.id == 0 {
			err = errBadRow("a lane")
		}
		if err != nil {
			return lane{}, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lanes) >= maxRemembered {
		clear(n.lanes)
	}
	n.lanes[name] = l
	return l, nil
}
