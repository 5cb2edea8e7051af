package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// The ids of all that waits, held or not, of what is held, and of what runs:
// without conditions of their own, or they are not read in order.
const (
	allWait = `SELECT run_id AS id FROM waiting`
	allHeld = `SELECT run_id AS id FROM held`
	allRun  = `SELECT run_id AS id FROM running`
)

// liveOf returns where the runs of a filter that have not ended come from. No
// run is in two of them.
func (c *conditions) liveOf(f *bellhop.RunFilter) (from []string) {
	waits, held := slices.Contains(f.States, bellhop.Waiting), slices.Contains(f.States, bellhop.Held)
	switch {
	case waits && held:
		from = append(from, c.waitingOf(f, allWait, ""))
	case waits:
		from = append(from, c.waitingOf(f, allWait, " AND w.phase < 3"))
	case held:
		from = append(from, c.waitingOf(f, allHeld, " AND w.phase = 3"))
	}
	if slices.Contains(f.States, bellhop.Running) {
		from = append(from, allRun)
	}
	return from
}

// waitingOf returns the ids of what waits in some phases, as far as the filter
// has an index for them, else all: a job's by waiting_job, a person's by
// waiting_principal, and by ask_principal those that they joined, as far back
// as anything waits. Where nothing else narrows the list, they are no more
// than a page of each.
func (c *conditions) waitingOf(f *bellhop.RunFilter, all, phases string) string {
	if c.who == "" && c.jobs == "" {
		return all
	}
	var page string
	if f.Before > 0 {
		page = " AND w.run_id < " + c.arg(int64(f.Before))
	}
	page += " ORDER BY w.run_id DESC"
	if f.Limit > 0 && f.Since.IsZero() && f.Until.IsZero() {
		page += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	if c.who == "" {
		return `SELECT p.id FROM unnest(` + c.jobs + `) j (id) CROSS JOIN LATERAL (SELECT w.run_id AS id FROM waiting w WHERE w.job = j.id` + phases + page + `) p`
	}
	of := phases
	if c.jobs != "" {
		of += " AND w.job = ANY (" + c.jobs + ")"
	}
	// OFFSET 0: from the asks to what waits, and never the other way round.
	return `SELECT u.id FROM ((SELECT w.run_id AS id FROM waiting w WHERE w.principal = ` + c.who + of + page + `)
  UNION (SELECT DISTINCT w.run_id FROM ask w CROSS JOIN LATERAL (SELECT w.run_id FROM waiting q WHERE q.run_id = w.run_id` + strings.ReplaceAll(of, "w.", "q.") + ` OFFSET 0) q
    WHERE w.principal = ` + c.who + ` AND w.run_id >= (SELECT min(run_id) FROM waiting)` + page + `)) u`
}
