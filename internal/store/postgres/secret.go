package postgres

import (
	"context"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	sqlPutSecrets = `INSERT INTO secret (owner, name, key_id, sealed, updated, by)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::text[]) ORDER BY 1, 2
  ON CONFLICT (owner, name) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, updated = excluded.updated, by = excluded.by`
	// By PRIMARY KEY (owner, name), the second in its order: all that there are.
	sqlSecret       = `SELECT owner, name, key_id, sealed, updated, by FROM secret WHERE owner = $1 AND name = $2`
	sqlSecrets      = `SELECT owner, name, key_id, sealed, updated, by FROM secret ORDER BY owner, name`
	sqlRemoveSecret = `DELETE FROM secret WHERE owner = $1 AND name = $2 RETURNING name`
	// Nobody else writes a secret until the end of the change.
	sqlLockSecrets = `LOCK TABLE secret IN SHARE ROW EXCLUSIVE MODE`
)

func collectSecrets(out *[]bellhop.SealedSecret) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		var s bellhop.SealedSecret
		var updated int64
		err := r.Scan(&s.Owner, &s.Name, &s.KeyID, &s.Sealed, &updated, &s.By)
		s.Updated = timeOf(updated)
		*out = append(*out, s)
		return err
	}
}

func (t *tx) putSecrets(list []bellhop.SealedSecret) {
	n := len(list)
	owners, names, keyIDs, by := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	sealed, updated := make([][]byte, n), make([]int64, n)
	for i, s := range list {
		owners[i], names[i], keyIDs[i], by[i] = text(s.Owner), text(s.Name), text(s.KeyID), text(s.By)
		sealed[i], updated[i] = append([]byte{}, s.Sealed...), micros(s.Updated)
	}
	t.do(sqlPutSecrets, owners, names, keyIDs, sealed, updated, by)
}

func errNoSecret(owner, name string) error {
	if owner != "" {
		return bellhop.Errorf(bellhop.NotFound, "%s has no secret %.60q; set it first", owner, name)
	}
	return bellhop.Errorf(bellhop.NotFound, "there is no secret %.60q; set it first", name)
}

// PutSecret writes one.
func (d *db) PutSecret(ctx context.Context, s bellhop.SealedSecret) error {
	return d.write(ctx, "setting a secret", func(t *tx) error {
		t.putSecrets([]bellhop.SealedSecret{s})
		return nil
	})
}

// Secret returns one, or NotFound.
func (d *db) Secret(ctx context.Context, owner, name string) (bellhop.SealedSecret, error) {
	var found []bellhop.SealedSecret
	err := d.read(ctx, "a secret", sqlSecret, func() { found = nil }, collectSecrets(&found), text(owner), text(name))
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
	err = d.read(ctx, "the secrets", sqlSecrets, func() { all = nil }, collectSecrets(&all))
	return all, err
}

// RemoveSecret removes one. The transaction has its number before it ends:
// made twice, it would find nothing.
func (d *db) RemoveSecret(ctx context.Context, owner, name string) error {
	return d.write(ctx, "removing a secret", func(t *tx) error {
		gone := false
		t.each(sqlRemoveSecret, func(pgx.Rows) error { gone = true; return nil }, text(owner), text(name))
		if err := t.flush(); err != nil {
			return err
		}
		if !gone {
			return errNoSecret(owner, name)
		}
		return nil
	})
}

// Reseal replaces all secrets by the same ones under another key.
func (d *db) Reseal(ctx context.Context, was, now []bellhop.SealedSecret) error {
	return d.write(ctx, "sealing secrets anew", func(t *tx) error {
		var has []bellhop.SealedSecret
		t.do(sqlLockSecrets)
		t.each(sqlSecrets, collectSecrets(&has))
		if err := t.flush(); err != nil {
			return err
		}
		if done, err := bellhop.CheckReseal(has, was, now); done || err != nil {
			return err
		}
		t.putSecrets(now)
		return nil
	})
}
