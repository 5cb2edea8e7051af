package sqlite

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

const (
	sqlPutSecret = `INSERT INTO secret (owner, name, key_id, sealed, updated, by) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (owner, name) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, updated = excluded.updated, by = excluded.by`
	// By PRIMARY KEY (owner, name), the second in its order: all that there are.
	sqlSecret       = `SELECT owner, name, key_id, sealed, updated, by FROM secret WHERE owner = ? AND name = ?`
	sqlSecrets      = `SELECT owner, name, key_id, sealed, updated, by FROM secret ORDER BY owner, name`
	sqlRemoveSecret = `DELETE FROM secret WHERE owner = ? AND name = ?`
)

func readSecret(r row) bellhop.SealedSecret {
	return bellhop.SealedSecret{Owner: r.text(0), Name: r.text(1), KeyID: r.text(2), Sealed: r.blob(3), Updated: timeOf(r.int(4)), By: r.text(5)}
}

func collectSecrets(out *[]bellhop.SealedSecret) func(row) error {
	return func(r row) error {
		*out = append(*out, readSecret(r))
		return nil
	}
}

func (t *tx) putSecret(s *bellhop.SealedSecret) error {
	_, err := t.exec(sqlPutSecret, s.Owner, s.Name, s.KeyID, append([]byte{}, s.Sealed...), micros(s.Updated), s.By)
	return err
}

func errNoSecret(owner, name string) error {
	if owner != "" {
		return bellhop.Errorf(bellhop.NotFound, "%s has no secret %.60q; set it first", owner, name)
	}
	return bellhop.Errorf(bellhop.NotFound, "there is no secret %.60q; set it first", name)
}

// PutSecret writes one.
func (d *db) PutSecret(ctx context.Context, s bellhop.SealedSecret) error {
	return d.do(ctx, func(t *tx) error { return t.putSecret(&s) })
}

// Secret returns one, or NotFound.
func (d *db) Secret(ctx context.Context, owner, name string) (bellhop.SealedSecret, error) {
	var found []bellhop.SealedSecret
	err := d.read(ctx, "a secret", func(c *conn) error {
		return c.query(ctx, sqlSecret, collectSecrets(&found), owner, name)
	})
	if err != nil {
		return bellhop.SealedSecret{}, err
	}
	if len(found) == 0 {
		return bellhop.SealedSecret{}, errNoSecret(owner, name)
	}
	return found[0], nil
}

// Secrets returns all, by owner and name.
func (d *db) Secrets(ctx context.Context) (all []bellhop.SealedSecret, err error) {
	err = d.read(ctx, "the secrets", func(c *conn) error {
		return c.query(ctx, sqlSecrets, collectSecrets(&all))
	})
	return all, err
}

// RemoveSecret removes one.
func (d *db) RemoveSecret(ctx context.Context, owner, name string) error {
	var gone int64
	err := d.do(ctx, func(t *tx) (err error) {
		gone, err = t.exec(sqlRemoveSecret, owner, name)
		return err
	})
	if err == nil && gone == 0 {
		err = errNoSecret(owner, name)
	}
	return err
}

// Reseal replaces all secrets by the same ones under another key.
func (d *db) Reseal(ctx context.Context, was, now []bellhop.SealedSecret) error {
	var refused error
	err := d.do(ctx, func(t *tx) error {
		var has []bellhop.SealedSecret
		if err := t.query(sqlSecrets, collectSecrets(&has)); err != nil {
			return err
		}
		var done bool
		if done, refused = bellhop.CheckReseal(has, was, now); done || refused != nil {
			return nil
		}
		for i := range now {
			if err := t.putSecret(&now[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return err
}
