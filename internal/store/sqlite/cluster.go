package sqlite

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// cluster is what the servers of the store know of each other. There is one at
// a time, as the lock proves, so it lives in memory; but the same server may
// be there under several names, as in tests.
type cluster struct {
	clock bellhop.Clock

	mu    sync.Mutex
	alive map[string]time.Time // until when
	roles map[string]role
}

type role struct {
	server string
	until  time.Time
}

func newCluster(clock bellhop.Clock) *cluster {
	return &cluster{clock: clock, alive: map[string]time.Time{}, roles: map[string]role{}}
}

// others returns the other servers that live, and until when.
func (c *cluster) others(server string) map[string]int64 {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out map[string]int64
	for name, until := range c.alive {
		if name != server && until.After(now) {
			if out == nil {
				out = map[string]int64{}
			}
			out[name] = micros(until)
		}
	}
	return out
}

// Beat says that a server lives, or leaves.
func (d *db) Beat(_ context.Context, server string, ttl time.Duration) error {
	if d.writer == nil {
		return errReadOnly()
	}
	c := d.cluster
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.alive, func(_ string, until time.Time) bool { return !until.After(now) })
	if ttl > 0 {
		c.alive[server] = now.Add(ttl)
		return nil
	}
	delete(c.alive, server)
	maps.DeleteFunc(c.roles, func(_ string, r role) bool { return r.server == server })
	return nil
}

// Lead takes a role, or keeps it.
func (d *db) Lead(_ context.Context, name, server string, ttl time.Duration) (bool, error) {
	if d.writer == nil {
		return false, errReadOnly()
	}
	c := d.cluster
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if has := c.roles[name]; has.server != server && has.until.After(now) {
		return false, nil
	}
	c.roles[name] = role{server, now.Add(ttl)}
	return true, nil
}

// Alive returns the servers that live, sorted.
func (d *db) Alive(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(d.cluster.others(""))), nil
}

const (
	// By PRIMARY KEY.
	sqlActivate  = `INSERT INTO meta (name, value) VALUES ('activated', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	sqlActivated = `SELECT value FROM meta WHERE name = 'activated'`
)

// Activate notes the newest activated configuration.
func (d *db) Activate(ctx context.Context, a bellhop.Activation) error {
	b, err := json.Marshal(a)
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "the activation of configuration %.40q can't be stored: %w", a.Digest, err)
	}
	return d.do(ctx, func(t *tx) error {
		_, err := t.exec(sqlActivate, string(b))
		return err
	})
}

// Activated returns the newest one.
func (d *db) Activated(ctx context.Context) (a bellhop.Activation, err error) {
	err = d.read(ctx, "the activated configuration", func(c *conn) error {
		text, err := c.text(sqlActivated)
		if err == nil && text != "" && json.Unmarshal([]byte(text), &a) != nil {
			err = errBadRow("which configuration was activated")
		}
		return err
	})
	return a, err
}
