package sqlite

import (
	"context"
	"math"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// The ask is in the run's record, or beside it; both by PRIMARY KEY.
	reportRows = `SELECT p.id, p.kind, p.run_id, p.attempt, p.ask, p.created, p.tries, p.principal, p.session,
  CASE p.ask WHEN 0 THEN r.ask ELSE a.ask END, CASE p.ask WHEN 0 THEN r.withdrawn ELSE a.withdrawn END, p.due
  FROM report p CROSS JOIN run r ON r.id = p.run_id LEFT JOIN ask a ON a.run_id = p.run_id AND a.n = p.ask`
	// By report_due.
	sqlDue     = reportRows + ` WHERE p.state = 0 AND p.due <= ? ORDER BY p.due, p.id LIMIT ? + 0`
	sqlNextDue = `SELECT due FROM report WHERE state = 0 AND (due, id) > (?, ?) ORDER BY due, id LIMIT 1`
	// By report_unread.
	sqlUnreadOf = reportRows + ` WHERE p.state = 1 AND p.principal = ? ORDER BY p.id LIMIT ? + 0`
	// By report_session.
	sqlUnreadIn = reportRows + ` WHERE p.state < 2 AND p.session IS NOT NULL AND p.session = ? ORDER BY p.id LIMIT ? + 0`
	// By PRIMARY KEY. What was delivered or given up stays so.
	sqlSettle = `UPDATE report SET state = ?, tries = tries + ?, due = ?, settled = ?, ref = ?, error = ? WHERE id = ? AND state < 2`
)

// readReports returns a row function that gathers rows of reportRows.
func readReports(out *[]bellhop.OutboxRow) func(row) error {
	return func(r row) error {
		o := bellhop.OutboxRow{
			ID: r.int(0), Kind: wordOf(kinds(), r.int(1)), Run: bellhop.RunID(r.int(2)), Attempt: int(r.int(3)),
			Created: timeOf(r.int(5)), Tries: int(r.int(6)),
			Ask: bellhop.Ask{N: int(r.int(4)), Principal: r.text(7), Withdrawn: r.int(10) != 0},
		}
		if err := unpackAsk(r.blob(9), &o.Ask); err != nil {
			return err
		}
		o.Ask.Origin.Session = r.text(8)
		*out = append(*out, o)
		return nil
	}
}

// Due returns pending reports whose time has come, those that wait longest
// first: a report that is tried again counts from its new time.
func (d *db) Due(ctx context.Context, req bellhop.DueRequest) (rows []bellhop.OutboxRow, next time.Time, err error) {
	now, n := req.Now, req.N
	err = d.read(ctx, "the outbox", func(c *conn) error {
		return c.snapshot(func() error {
			due := int64(math.MinInt64)
			var last int64
			if n > 0 {
				gather := readReports(&rows)
				err := c.query(ctx, sqlDue, func(r row) error {
					due, last = r.int(11), r.int(0)
					return gather(r)
				}, micros(now), int64(n))
				if err != nil {
					return err
				}
			}
			after, err := c.number(sqlNextDue, due, last)
			next = timeOf(after)
			return err
		})
	})
	return rows, next, err
}

// Unread returns what waits for a session, or for a person.
func (d *db) Unread(ctx context.Context, principal, session string, n int) (rows []bellhop.OutboxRow, err error) {
	query, who := sqlUnreadOf, principal
	switch {
	case (principal == "") == (session == ""):
		return nil, bellhop.Errorf(bellhop.Invalid, "unread reports are those of a person or of a session; exactly one is to be named")
	case session != "":
		query, who = sqlUnreadIn, session
	}
	err = d.read(ctx, "the outbox", func(c *conn) error {
		return c.query(ctx, query, readReports(&rows), who, int64(max(n, 0)))
	})
	return rows, err
}

// Settle records what became of reports.
func (d *db) Settle(ctx context.Context, settled []bellhop.Settlement) error {
	for _, s := range settled {
		if numberOf(reportStates(), s.State) < 0 {
			return bellhop.Errorf(bellhop.Invalid, "report %d can't become %q; the states are pending, delivered, unread, given_up", s.ID, s.State)
		}
	}
	return d.do(ctx, func(t *tx) error {
		for _, s := range settled {
			failed := int64(0)
			if s.State == bellhop.ReportPending || s.State == bellhop.ReportGivenUp {
				failed = 1
			}
			_, err := t.exec(sqlSettle, numberOf(reportStates(), s.State), failed, micros(s.Due), micros(s.Now), textOrNull(s.Ref), textOrNull(s.Error), s.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
