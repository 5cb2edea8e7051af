package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// By UNIQUE (namespace, key).
	sqlValue  = `SELECT key, value, version, expires FROM value WHERE namespace = ?1 AND key = ?2 AND (expires = 0 OR expires > ?3)`
	sqlValues = `SELECT key, value, version, expires FROM value WHERE namespace = ?1 AND key > ?2 AND key < ?3 AND key >= ?4 AND (expires = 0 OR expires > ?5)
  ORDER BY key LIMIT ?6 + 0`
	sqlPutValue = `INSERT INTO value (namespace, key, version, expires, value) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, expires = excluded.expires, value = excluded.value`
	sqlDeleteValue = `DELETE FROM value WHERE namespace = ? AND key = ?`
	// By PRIMARY KEY (name).
	sqlNextVersion = `INSERT INTO meta (name, value) VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = CAST(1 + value AS TEXT) RETURNING CAST(value AS INTEGER)`
	// By value_expires.
	sqlExpired = `SELECT id FROM value WHERE expires != 0 AND expires > 0 AND expires <= ?1 ORDER BY expires LIMIT ?2 + 0`
	// By PRIMARY KEY; one that was written meanwhile stays.
	sqlForgetValue = `DELETE FROM value WHERE id = ? AND expires != 0 AND expires <= ?`
)

func readValue(r row) bellhop.Stored {
	return bellhop.Stored{Key: r.text(0), Value: r.blob(1), Version: r.int(2), Expires: timeOf(r.int(3))}
}

// Get returns a value, or NotFound.
func (d *db) Get(ctx context.Context, namespace, key string, now time.Time) (out bellhop.Stored, err error) {
	err = d.read(ctx, "a value", func(c *conn) error {
		return c.query(ctx, sqlValue, func(r row) error {
			out = readValue(r)
			return errStop
		}, namespace, key, micros(now))
	})
	if err == nil && out.Version == 0 {
		err = bellhop.Errorf(bellhop.NotFound, "there is no value %.40q in %.40q", key, namespace)
	}
	return out, err
}

// present returns the version of a value, 0 when it is not there.
func (t *tx) present(namespace, key string, now time.Time) (version int64, err error) {
	err = t.query(sqlValue, func(r row) error {
		version = r.int(2)
		return errStop
	}, namespace, key, micros(now))
	return version, err
}

func errOtherVersion(namespace, key string, has int64) error {
	if has == 0 {
		return bellhop.Errorf(bellhop.Conflict, "value %.40q in %.40q is not there any more; read it again", key, namespace)
	}
	return bellhop.Errorf(bellhop.Conflict, "value %.40q in %.40q was written meanwhile; read it again", key, namespace)
}

// Put writes a value and returns its new version.
func (d *db) Put(ctx context.Context, namespace, key string, value []byte, version int64, ttl time.Duration, now time.Time) (next int64, err error) {
	if err := bellhop.CheckValue(namespace, key, value); err != nil {
		return 0, err
	}
	expires := int64(0)
	if ttl != 0 {
		expires = micros(now.Add(ttl))
	}
	value = append([]byte{}, value...) // never NULL
	var refused error
	err = d.do(ctx, func(t *tx) error {
		refused = nil
		has, err := t.present(namespace, key, now)
		if err != nil {
			return err
		}
		if version >= 0 && version != has || version < -1 {
			refused = errOtherVersion(namespace, key, has)
			return nil
		}
		if next, err = t.number(sqlNextVersion, numberValues); err != nil {
			return err
		}
		_, err = t.exec(sqlPutValue, namespace, key, next, expires, value)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return 0, err
	}
	return next, nil
}

// Delete removes a value.
func (d *db) Delete(ctx context.Context, namespace, key string, version int64, now time.Time) error {
	var refused error
	err := d.do(ctx, func(t *tx) error {
		refused = nil
		has, err := t.present(namespace, key, now)
		if err != nil || has == 0 {
			return err // one that has expired goes when its time comes
		}
		if version != -1 && version != has {
			refused = errOtherVersion(namespace, key, has)
			return nil
		}
		_, err = t.exec(sqlDeleteValue, namespace, key)
		return err
	})
	if err == nil {
		err = refused
	}
	return err
}

// List returns values by key.
func (d *db) List(ctx context.Context, namespace, prefix, after string, n int, now time.Time) (out []bellhop.Stored, err error) {
	err = d.read(ctx, "values", func(c *conn) error {
		out = []bellhop.Stored{}
		return c.query(ctx, sqlValues, func(r row) error {
			out = append(out, readValue(r))
			return nil
		}, namespace, after, bellhop.ValuesAfter(prefix), prefix, micros(now), int64(max(n, 0)))
	})
	return out, err
}

// ForgetValues deletes values that have expired, forgetStep in one turn of the
// writer: each may be large.
func (d *db) ForgetValues(ctx context.Context, now time.Time, n int) (more bool, err error) {
	if d.writer == nil {
		return false, errReadOnly()
	}
	n = max(n, 0)
	var ids []int64
	err = d.read(ctx, "old values", func(c *conn) error {
		return c.query(ctx, sqlExpired, func(r row) error {
			ids = append(ids, r.int(0))
			return nil
		}, micros(now), int64(n)+1)
	})
	if err != nil {
		return false, err
	}
	for part := range slices.Chunk(ids[:min(n, len(ids))], forgetStep) {
		err := d.do(ctx, func(t *tx) error {
			for _, id := range part {
				if _, err := t.exec(sqlForgetValue, id, micros(now)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return len(ids) > n, nil
}
