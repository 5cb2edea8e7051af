package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	holdColumns = `SELECT id, kind, service, job, args, since, until, by, at, ended, ended_by FROM hold`
	// By hold_open.
	sqlOpenHolds = holdColumns + ` WHERE ended = 0`
	// All that are kept: they are few.
	sqlAllHolds = holdColumns
	// By PRIMARY KEY.
	sqlHold       = holdColumns + ` WHERE id = ?`
	sqlInsertHold = `INSERT INTO hold (kind, service, job, args, since, until, by, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`
	sqlEndHold    = `UPDATE hold SET ended = ?, ended_by = ? WHERE id = ?`
	// By PRIMARY KEY (key).
	sqlKeyAnswer  = `SELECT answer FROM key WHERE key = ?`
	sqlInsertDone = `INSERT INTO key (key, run_id, at, answer) VALUES (?, 0, ?, ?)`
)

func readHold(r row) (*bellhop.Hold, error) {
	h := &bellhop.Hold{
		ID: r.int(0), Kind: wordOf(holdKinds(), r.int(1)), Service: r.text(2), Job: r.text(3), From: timeOf(r.int(5)), Until: timeOf(r.int(6)),
		By: r.text(7), At: timeOf(r.int(8)), Ended: timeOf(r.int(9)), EndedBy: r.text(10),
	}
	if r.null(4) {
		return h, nil
	}
	var err error
	h.Args, err = decodeArgs(r.blob(4))
	return h, err
}

// collectHolds returns a row function that appends holds to out.
func collectHolds(out *[]*bellhop.Hold) func(row) error {
	return func(r row) error {
		h, err := readHold(r)
		*out = append(*out, h)
		return err
	}
}

// recallHolds reads the holds that nobody has ended.
func (t *tx) recallHolds() error {
	t.holds = nil
	return t.query(sqlOpenHolds, collectHolds(&t.holds))
}

func (t *tx) holdByID(id int64) *bellhop.Hold {
	for _, h := range t.holds {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// holdOpen tells of a hold whether it keeps runs back at a time.
func (t *tx) holdOpen(now int64) func(id int64) bool {
	at := timeOf(now)
	return func(id int64) bool {
		h := t.holdByID(id)
		return h != nil && h.Open(at)
	}
}

// holdOn returns the open hold on an entry that ends first, nil when there is
// none.
func (t *tx) holdOn(e *entry, now int64) (first *bellhop.Hold, err error) {
	if len(t.holds) == 0 {
		return nil, nil
	}
	l, err := t.laneByID(e.lane)
	if err != nil {
		return nil, err
	}
	name, err := t.jobOf(l.job)
	if err != nil {
		return nil, err
	}
	at := timeOf(now)
	for _, h := range t.holds {
		if h.Service != name.service || h.Job != "" && h.Job != name.job || !h.Open(at) || first != nil && !endsBefore(h, first) {
			continue
		}
		var args bellhop.Args
		if len(h.Args) > 0 {
			f, err := t.factsOf(e)
			if err != nil {
				return nil, err
			}
			args = f.run.Args
		}
		if h.Covers(name.service, name.job, args) {
			first = h
		}
	}
	return first, nil
}

func endsBefore(a, b *bellhop.Hold) bool {
	return !a.Until.IsZero() && (b.Until.IsZero() || a.Until.Before(b.Until))
}

// oldHold is how long a window that is over is still looked at: as far as the
// clock may go back.
const oldHold = 24 * time.Hour

// dropHolds forgets windows that have been over for long. They stay in the
// file.
func (t *tx) dropHolds(now int64) {
	at := timeOf(now).Add(-oldHold)
	if at.Before(t.droppedHolds) {
		return
	}
	t.droppedHolds = at.Add(oldHold / 2)
	t.holds = slices.DeleteFunc(slices.Clone(t.holds), func(h *bellhop.Hold) bool { return h.Over(at) })
}

// answered returns what the same key was answered when it was new.
func (t *tx) answered(key string) (answer []byte, seen bool, err error) {
	if key == "" {
		return nil, false, nil
	}
	err = t.query(sqlKeyAnswer, func(r row) error {
		seen, answer = true, r.blob(0)
		return errStop
	}, keyOf(key))
	return answer, seen, err
}

// noteAnswer keeps what a key was answered.
func (t *tx) noteAnswer(key string, now time.Time, answer any) error {
	if key == "" {
		return nil
	}
	b, err := json.Marshal(answer)
	if err == nil {
		_, err = t.exec(sqlInsertDone, keyOf(key), micros(now), b)
	}
	return err
}

func errOtherKey(key string) error {
	return bellhop.Errorf(bellhop.Conflict, "key %.60q was used for something else already; ask again with another one", key)
}

// PutHold writes a hold.
func (d *db) PutHold(ctx context.Context, key string, h bellhop.Hold) (out bellhop.Hold, err error) {
	kind := numberOf(holdKinds(), h.Kind)
	if kind <= 0 || h.Service == "" {
		return out, bellhop.Errorf(bellhop.Invalid, "a hold of kind %q on service %q can't be stored; its kind is suppress or pause, and it names a service", h.Kind, h.Service)
	}
	args, err := encodeArgs(h.Args)
	if err != nil {
		return out, bellhop.Errorf(bellhop.Invalid, "the arguments of a hold on %s can't be stored: %w", h.Service, err)
	}
	var refused error
	err = d.do(ctx, func(t *tx) (err error) {
		out, refused = bellhop.Hold{}, nil
		ids, seen, err := t.heldByKey(key)
		if err != nil {
			return err
		}
		if seen {
			refused = errOtherKey(key)
			if len(ids) == 1 {
				return t.query(sqlHold, func(r row) error { // unless it was forgotten
					refused = nil
					return set(&out, r)
				}, ids[0])
			}
			return nil
		}
		id, err := t.number(sqlInsertHold, kind, h.Service, h.Job, blobOrNull(args), micros(h.From), micros(h.Until), h.By, micros(h.At))
		if err != nil {
			return err
		}
		if err := t.query(sqlHold, func(r row) error { return set(&out, r) }, id); err != nil {
			return err
		}
		kept := out
		t.holds = append(t.holds, &kept)
		return t.noteAnswer(key, h.At, []int64{id})
	})
	if err == nil {
		err = refused
	}
	return out, err
}

// set reads one hold.
func set(out *bellhop.Hold, r row) error {
	h, err := readHold(r)
	if err != nil {
		return err
	}
	*out = *h
	return errStop
}

// heldByKey returns the holds that a key was answered with.
func (t *tx) heldByKey(key string) (ids []int64, seen bool, err error) {
	answer, seen, err := t.answered(key)
	if err != nil || !seen {
		return nil, seen, err
	}
	if answer != nil && json.Unmarshal(answer, &ids) != nil {
		ids = nil // of a cancellation
	}
	return ids, true, nil
}

// EndHolds ends the holds that the filter means.
func (d *db) EndHolds(ctx context.Context, key string, f bellhop.HoldFilter, by string, now time.Time) (out []bellhop.Hold, err error) {
	err = d.do(ctx, func(t *tx) error {
		out = []bellhop.Hold{}
		ids, seen, err := t.heldByKey(key)
		if err != nil {
			return err
		}
		if !seen {
			if ids, err = t.endHolds(f, by, now); err != nil {
				return err
			}
			if err := t.noteAnswer(key, now, ids); err != nil {
				return err
			}
		}
		for _, id := range ids {
			err := t.query(sqlHold, func(r row) error {
				h, err := readHold(r)
				if err == nil {
					out = append(out, *h)
				}
				return err
			}, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *tx) endHolds(f bellhop.HoldFilter, by string, now time.Time) (ids []int64, err error) {
	ids = []int64{}
	f.Over = false
	for _, h := range inOrder(t.holds, f, now) {
		if _, err := t.exec(sqlEndHold, micros(now), textOrNull(by), h.ID); err != nil {
			return nil, err
		}
		ids = append(ids, h.ID)
		if waiting := t.q.held[h.ID]; waiting != nil {
			t.q.wake(waiting)
		}
	}
	if len(ids) > 0 { // a new slice: the old one is that of the memory, should this be undone
		t.holds = slices.DeleteFunc(slices.Clone(t.holds), func(h *bellhop.Hold) bool { return slices.Contains(ids, h.ID) })
	}
	return ids, nil
}

// Holds returns the holds that the filter means.
func (d *db) Holds(ctx context.Context, f bellhop.HoldFilter, now time.Time) ([]bellhop.Hold, error) {
	query := sqlOpenHolds
	if f.Over {
		query = sqlAllHolds
	}
	var found []*bellhop.Hold
	err := d.read(ctx, "windows and pauses", func(c *conn) error { return c.query(ctx, query, collectHolds(&found)) })
	if err != nil {
		return nil, err
	}
	return inOrder(found, f, now), nil
}

// inOrder returns the holds that a filter means, by From, then ID.
func inOrder(holds []*bellhop.Hold, f bellhop.HoldFilter, now time.Time) []bellhop.Hold {
	out := []bellhop.Hold{}
	for _, h := range holds {
		if means(f, h, now) {
			out = append(out, *h)
		}
	}
	slices.SortFunc(out, func(a, b bellhop.Hold) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID)) })
	return out
}

func means(f bellhop.HoldFilter, h *bellhop.Hold, now time.Time) bool {
	return (f.ID == 0 || f.ID == h.ID) && (f.Kind == "" || f.Kind == h.Kind) && (f.Service == "" || f.Service == h.Service) &&
		(f.Job == nil || *f.Job == h.Job) && (f.Args == nil || f.Args.Equal(h.Args)) && (f.Over || !h.Over(now))
}
