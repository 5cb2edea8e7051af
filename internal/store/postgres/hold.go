package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// holdColumns are what scanHold reads.
const holdColumns = `h.id, h.kind, h.service, h.job, h.args, h.since, h.until, h.by, h.at, h.ended, h.ended_by`

const (
	sqlInsertHold = `INSERT INTO hold (kind, service, job, args, since, until, by, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	// All of those that are not over, by hold_live; with the others, all of them.
	sqlHoldsLive = `SELECT ` + holdColumns + ` FROM hold h WHERE h.ended = 0 AND (h.until = 0 OR h.until > $1) ORDER BY h.since, h.id`
	sqlHoldsAll  = `SELECT ` + holdColumns + ` FROM hold h ORDER BY h.since, h.id`
	sqlHoldsOf   = `SELECT ` + holdColumns + ` FROM hold h WHERE h.id = ANY ($1::bigint[]) ORDER BY h.since, h.id`
	sqlEndHolds  = `UPDATE hold SET ended = $2, ended_by = $3 WHERE id = ANY ($1::bigint[]) AND ended = 0`
)

func scanHold(r pgx.Rows) (h bellhop.Hold, err error) {
	var kind string
	var args []byte
	var since, until, at, ended int64
	if err := r.Scan(&h.ID, &kind, &h.Service, &h.Job, &args, &since, &until, &h.By, &at, &ended, &h.EndedBy); err != nil {
		return h, err
	}
	h.Kind, h.From, h.Until, h.At, h.Ended = bellhop.HoldKind(kind), timeOf(since), timeOf(until), timeOf(at), timeOf(ended)
	if args != nil {
		h.Args, err = decodeArgs(args)
	}
	return h, err
}

// collectHolds returns a row function that gathers the holds that f means.
func collectHolds(out *[]bellhop.Hold, f bellhop.HoldFilter) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		h, err := scanHold(r)
		if err == nil && means(f, h) {
			*out = append(*out, h)
		}
		return err
	}
}

func means(f bellhop.HoldFilter, h bellhop.Hold) bool {
	return (f.ID == 0 || f.ID == h.ID) && (f.Kind == "" || f.Kind == h.Kind) && (f.Service == "" || f.Service == h.Service) &&
		(f.Job == nil || *f.Job == h.Job) && (f.Args == nil || f.Args.Equal(h.Args))
}

// lockHolds keeps claims out until the end of the transaction: those that are
// under way are over before, and those that come see what it wrote.
func (t *tx) lockHolds() { t.each(sqlLockHolds, ignore, lockClassHolds) }

// PutHold writes a hold.
func (d *db) PutHold(ctx context.Context, key string, h bellhop.Hold) (out bellhop.Hold, err error) {
	args, err := encodeArgs(h.Args)
	if err != nil {
		return bellhop.Hold{}, bellhop.Errorf(bellhop.Invalid, "the arguments of a hold of %s %s can't be stored: %w", h.Service, h.Job, err)
	}
	err = d.write(ctx, "writing a hold", func(t *tx) error {
		var former bellhop.Hold
		seen, err := t.answered(hash(key), func(b []byte) error {
			_ = json.Unmarshal(b, &former) // of something else it makes nothing
			return nil
		})
		if err != nil {
			return err
		}
		if seen {
			out, err = t.heldBefore(key, former)
			return err
		}
		t.lockHolds()
		h.Ended, h.EndedBy = time.Time{}, ""
		t.each(sqlInsertHold, func(r pgx.Rows) error { return r.Scan(&h.ID) },
			string(h.Kind), text(h.Service), text(h.Job), args, micros(h.From), micros(h.Until), text(h.By), micros(h.At))
		var made []bellhop.Hold
		if err := t.flush(); err != nil {
			return err
		}
		t.each(sqlHoldsOf, collectHolds(&made, bellhop.HoldFilter{}), []int64{h.ID}) // as it will be read
		if err := t.flush(); err != nil {
			return err
		}
		out = made[0]
		answer, err := json.Marshal(out)
		if key != "" {
			t.do(sqlInsertDone, hash(key), micros(h.At), answer)
		}
		return err
	})
	if err != nil {
		return bellhop.Hold{}, err
	}
	return utc(out), nil
}

// heldBefore returns what a known key made, unless that was no hold, or one
// that was forgotten.
func (t *tx) heldBefore(key string, former bellhop.Hold) (bellhop.Hold, error) {
	var kept []bellhop.Hold
	t.each(sqlHoldsOf, collectHolds(&kept, bellhop.HoldFilter{}), []int64{former.ID})
	if err := t.flush(); err != nil {
		return bellhop.Hold{}, err
	}
	if len(kept) == 0 {
		return bellhop.Hold{}, bellhop.Errorf(bellhop.Conflict, "key %.60q was used for something else already; ask again with another one", key)
	}
	return former, nil
}

// utc puts right what JSON makes of times.
func utc(h bellhop.Hold) bellhop.Hold {
	for _, t := range []*time.Time{&h.From, &h.Until, &h.At, &h.Ended} {
		*t = timeOf(micros(*t))
	}
	return h
}

// EndHolds ends the holds that f means and that are not over at now.
func (d *db) EndHolds(ctx context.Context, key string, f bellhop.HoldFilter, by string, now time.Time) (out []bellhop.Hold, err error) {
	err = d.write(ctx, "ending holds", func(t *tx) error {
		out = nil
		var ids []int64
		seen, err := t.answered(hash(key), func(b []byte) error { return json.Unmarshal(b, &ids) })
		if err != nil {
			return err
		}
		if seen {
			t.each(sqlHoldsOf, collectHolds(&out, bellhop.HoldFilter{}), ids)
			return t.flush()
		}
		t.lockHolds()
		t.each(sqlHoldsLive, collectHolds(&out, f), micros(now))
		if err := t.flush(); err != nil {
			return err
		}
		ids = []int64{}
		for i := range out {
			ids = append(ids, out[i].ID)
			out[i].Ended, out[i].EndedBy = timeOf(micros(now)), text(by)
		}
		t.do(sqlEndHolds, ids, micros(now), text(by))
		answer, err := json.Marshal(ids)
		if key != "" {
			t.do(sqlInsertDone, hash(key), micros(now), answer)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Holds returns the holds that f means and that are not over at now.
func (d *db) Holds(ctx context.Context, f bellhop.HoldFilter, now time.Time) (out []bellhop.Hold, err error) {
	query, args := sqlHoldsLive, []any{micros(now)}
	if f.Over {
		query, args = sqlHoldsAll, nil
	}
	err = d.read(ctx, "holds", query, func() { out = nil }, collectHolds(&out, f), args...)
	return out, err
}
