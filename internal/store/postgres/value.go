package postgres

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// By PRIMARY KEY (namespace, key), the third in its order.
	sqlValue   = `SELECT key, value, version, expires FROM value WHERE namespace = $1 AND key = $2 AND (expires = 0 OR expires > $3)`
	sqlPresent = `SELECT version FROM value WHERE namespace = $1 AND key = $2 AND (expires = 0 OR expires > $3)`
	sqlValues  = `SELECT key, value, version, expires FROM value WHERE namespace = $1 AND key > $2 AND key < $3 AND key >= $4 AND (expires = 0 OR expires > $5)
  ORDER BY key LIMIT $6`
	sqlPutValue = `INSERT INTO value (namespace, key, version, expires, value) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, expires = excluded.expires, value = excluded.value`
	sqlDeleteValue = `DELETE FROM value WHERE namespace = $1 AND key = $2`
	// Whoever writes a key waits for those who do, also when it is not there.
	sqlLockValue   = `SELECT pg_advisory_xact_lock($1::int, $2::int)`
	sqlNextVersion = `SELECT nextval('value_version')`
	// By value_expires.
	sqlExpired = `SELECT namespace, key FROM value WHERE expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2`
	// By PRIMARY KEY; one that was written meanwhile stays.
	sqlForgetValues = `DELETE FROM value v USING unnest($1::bytea[], $2::bytea[]) u (namespace, key)
  WHERE v.namespace = u.namespace AND v.key = u.key AND v.expires > 0 AND v.expires <= $3`
)

// forgetValues is how many values go in one transaction.
const forgetValues = 64

func readValue(r pgx.Rows) (v bellhop.Stored, err error) {
	var key []byte
	var expires int64
	err = r.Scan(&key, &v.Value, &v.Version, &expires)
	v.Key, v.Expires = string(key), timeOf(expires)
	return v, err
}

func collectValues(out *[]bellhop.Stored) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		v, err := readValue(r)
		*out = append(*out, v)
		return err
	}
}

// Get returns a value, or NotFound.
func (d *db) Get(ctx context.Context, namespace, key string, now time.Time) (bellhop.Stored, error) {
	var found []bellhop.Stored
	err := d.read(ctx, "a value", sqlValue, func() { found = nil }, collectValues(&found), []byte(namespace), []byte(key), micros(now))
	if err != nil {
		return bellhop.Stored{}, err
	}
	if len(found) == 0 {
		return bellhop.Stored{}, bellhop.Errorf(bellhop.NotFound, "there is no value %.40q in %.40q", key, namespace)
	}
	return found[0], nil
}

// List returns values by key.
func (d *db) List(ctx context.Context, namespace, prefix, after string, n int, now time.Time) (out []bellhop.Stored, err error) {
	err = d.read(ctx, "values", sqlValues, func() { out = []bellhop.Stored{} }, collectValues(&out),
		[]byte(namespace), []byte(after), []byte(bellhop.ValuesAfter(prefix)), []byte(prefix), micros(now), max(n, 0))
	return out, err
}

func errOtherVersion(namespace, key string, has int64) error {
	if has == 0 {
		return bellhop.Errorf(bellhop.Conflict, "value %.40q in %.40q is not there any more; read it again", key, namespace)
	}
	return bellhop.Errorf(bellhop.Conflict, "value %.40q in %.40q was written meanwhile; read it again", key, namespace)
}

// present locks a key and returns the version of its value, 0 when it is not
// there, and the version that is next. The transaction has its number then:
// made twice, it would find its own version.
func (t *tx) present(namespace, key string, now time.Time) (has, next int64, err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(namespace + "\x00" + key))
	t.each(sqlLockValue, ignore, lockClassValue, int32(h.Sum32()))
	t.each(sqlPresent, func(r pgx.Rows) error { return r.Scan(&has) }, []byte(namespace), []byte(key), micros(now))
	t.each(sqlNextVersion, func(r pgx.Rows) error { return r.Scan(&next) })
	t.forceXID()
	return has, next, t.flush()
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
	err = d.write(ctx, "writing a value", func(t *tx) (err error) {
		var has int64
		if has, next, err = t.present(namespace, key, now); err != nil {
			return err
		}
		if version >= 0 && version != has || version < -1 {
			return errOtherVersion(namespace, key, has)
		}
		t.do(sqlPutValue, []byte(namespace), []byte(key), next, expires, value)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return next, nil
}

// Delete removes a value. One that has expired goes when its time comes.
func (d *db) Delete(ctx context.Context, namespace, key string, version int64, now time.Time) error {
	return d.write(ctx, "removing a value", func(t *tx) error {
		has, _, err := t.present(namespace, key, now)
		if err != nil || has == 0 {
			return err
		}
		if version != -1 && version != has {
			return errOtherVersion(namespace, key, has)
		}
		t.do(sqlDeleteValue, []byte(namespace), []byte(key))
		return nil
	})
}

// ForgetValues deletes values that have expired.
func (d *db) ForgetValues(ctx context.Context, now time.Time, n int) (more bool, err error) {
	type name struct{ namespace, key []byte }
	var names []name
	n = max(n, 0)
	err = d.read(ctx, "old values", sqlExpired, func() { names = nil }, func(r pgx.Rows) error {
		var v name
		err := r.Scan(&v.namespace, &v.key)
		names = append(names, v)
		return err
	}, micros(now), n+1)
	if err != nil {
		return false, err
	}
	for part := range slices.Chunk(names[:min(n, len(names))], forgetValues) {
		var namespaces, keys [][]byte
		for _, v := range part {
			namespaces, keys = append(namespaces, v.namespace), append(keys, v.key)
		}
		err := d.write(ctx, "forgetting values", func(t *tx) error {
			t.do(sqlForgetValues, namespaces, keys, micros(now))
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return len(names) > n, nil
}
