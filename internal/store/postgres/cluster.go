package postgres

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	sqlStoreTime = `SELECT ` + storeNow
	sqlBeat      = `INSERT INTO server (name, until) VALUES ($2, ` + storeNow + ` + $3::bigint) ON CONFLICT (name) DO UPDATE SET until = EXCLUDED.until`
	// A server that has been silent for an hour comes back under another name.
	sqlForgetServers = `DELETE FROM server WHERE until < ` + storeNow + ` - 3600000000`
	sqlLeave         = `DELETE FROM server WHERE name = $1`
	sqlGiveUpRoles   = `DELETE FROM role WHERE server = $1`
	sqlLead          = `INSERT INTO role AS r (name, server, until) VALUES ($2, $3, ` + storeNow + ` + $4::bigint)
  ON CONFLICT (name) DO UPDATE SET server = EXCLUDED.server, until = EXCLUDED.until WHERE r.server = EXCLUDED.server OR r.until <= ` + storeNow + ` RETURNING true`
	sqlActivate = `INSERT INTO activation AS a (digest, server, at) VALUES ($1, $2, $3)
  ON CONFLICT (one) DO UPDATE SET digest = EXCLUDED.digest, server = EXCLUDED.server, at = EXCLUDED.at`
	sqlActivated = `SELECT digest, server, at FROM activation`
	sqlAlive     = `SELECT name FROM server WHERE until > ` + storeNow + ` ORDER BY name COLLATE "C"`
)

// storeTime reads the store's clock.
func (t *tx) storeTime(d *db) (us int64, err error) {
	if now := d.now(); now != nil {
		return *now, nil
	}
	t.each(sqlStoreTime, func(r pgx.Rows) error { return r.Scan(&us) }, nil)
	err = t.flush()
	return us, err
}

// Beat says that a server lives for ttl from now.
func (d *db) Beat(ctx context.Context, server string, ttl time.Duration) error {
	return d.write(ctx, "the heartbeat", func(t *tx) error {
		if ttl <= 0 {
			t.do(sqlLeave, text(server))
			t.do(sqlGiveUpRoles, text(server))
			return nil
		}
		t.do(sqlBeat, d.now(), text(server), ttl.Microseconds())
		t.do(sqlForgetServers, d.now())
		return nil
	})
}

// Lead takes or keeps a role.
func (d *db) Lead(ctx context.Context, role, server string, ttl time.Duration) (has bool, err error) {
	err = d.write(ctx, "taking a role", func(t *tx) error {
		has = false
		t.each(sqlLead, func(r pgx.Rows) error { return r.Scan(&has) }, d.now(), text(role), text(server), ttl.Microseconds())
		return t.flush() // what is answered must not be lost with the commit's answer
	})
	return has && err == nil, err
}

// Activate notes the newest activated configuration.
func (d *db) Activate(ctx context.Context, a bellhop.Activation) error {
	return d.write(ctx, "noting the configuration", func(t *tx) error {
		t.do(sqlActivate, text(a.Digest), text(a.Server), micros(a.At))
		return nil
	})
}

// Activated returns the newest one.
func (d *db) Activated(ctx context.Context) (a bellhop.Activation, err error) {
	err = d.read(ctx, "the configuration", sqlActivated, func() { a = bellhop.Activation{} }, func(r pgx.Rows) error {
		var at int64
		err := r.Scan(&a.Digest, &a.Server, &at)
		a.At = timeOf(at)
		return err
	})
	return a, err
}

// Alive returns the servers that live, sorted.
func (d *db) Alive(ctx context.Context) (servers []string, err error) {
	err = d.read(ctx, "servers", sqlAlive, func() { servers = nil }, func(r pgx.Rows) error {
		var name string
		err := r.Scan(&name)
		servers = append(servers, name)
		return err
	}, d.now())
	return servers, err
}
