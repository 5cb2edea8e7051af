package postgres

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// The ask is in the run's record, beside it, or in the report; by PRIMARY
	// KEY.
	reportRows = `SELECT p.id, p.kind, p.run_id, p.attempt, p.ask_n, p.created, p.tries, p.principal, p.session, p.server,
  CASE p.ask_n WHEN -1 THEN p.ask WHEN 0 THEN r.ask ELSE a.ask END, CASE p.ask_n WHEN -1 THEN false WHEN 0 THEN r.withdrawn ELSE a.withdrawn END `
	joinAsk = ` JOIN run r ON r.id = p.run_id LEFT JOIN ask a ON a.run_id = p.run_id AND a.n = p.ask_n`

	// What a server took that does not live any more is free. What was taken in
	// nobody's name is not before its time.
	mayTake = ` (p.taken_until <= $1 OR p.taken_by <> '' AND NOT EXISTS (SELECT 1 FROM server v WHERE v.name = p.taken_by AND v.until > $3)) AND ($2 = '' OR p.server IS NULL OR p.server = $2 OR NOT EXISTS (SELECT 1 FROM server v WHERE v.name = p.server AND v.until > $3))`
	// By report_due.
	sqlDue = `WITH p AS MATERIALIZED (SELECT * FROM report p WHERE p.state = 0 AND p.due <= $1 AND ` + mayTake + ` ORDER BY p.due, p.id LIMIT $4 FOR UPDATE SKIP LOCKED)
  ` + reportRows + ` FROM p` + joinAsk + ` ORDER BY p.due, p.id`
	sqlTake = `UPDATE report SET taken_until = $2, taken_by = $3 WHERE id = ANY ($1::bigint[])`
	// What is taken by anybody is due again when that ends.
	sqlNextReport = `SELECT greatest(p.due, p.taken_until) FROM report p WHERE p.state = 0 AND
  ($1 = '' OR p.server IS NULL OR p.server = $1 OR NOT EXISTS (SELECT 1 FROM server v WHERE v.name = p.server AND v.until > $2)) AND p.taken_until <= $3 AND p.id <> ALL ($4::bigint[])
  ORDER BY p.due, p.id LIMIT 1`
	// What is taken was due, so it comes first.
	sqlNextTaken = `SELECT min(p.taken_until) FROM (SELECT taken_until FROM report WHERE state = 0 AND due <= $1 ORDER BY due, id LIMIT 1000) p WHERE p.taken_until > $1`
	// By report_unread.
	sqlUnreadOf = reportRows + ` FROM report p` + joinAsk + ` WHERE p.state = 1 AND p.principal = $1 ORDER BY p.id LIMIT $2`
	// By report_session.
	sqlUnreadIn = reportRows + ` FROM report p` + joinAsk + ` WHERE p.state < 2 AND p.session = $1 ORDER BY p.id LIMIT $2`
	// By PRIMARY KEY. Others are told once, however often it is told that a
	// report is given up.
	sqlTellUntold = `INSERT INTO report (run_id, ask_n, attempt, kind, created, due, principal, session, server, ask)
  SELECT p.run_id, -1, p.attempt, $2, $3, $3, u.principal, u.session, u.server, u.ask
  FROM report p, unnest($4::text[], $5::text[], $6::text[], $7::bytea[]) u (principal, session, server, ask) WHERE p.id = $1 AND p.state < 2`
	// By PRIMARY KEY. What was delivered or given up stays so. A failed try is
	// counted once, however often it is told: then the row is as it was told.
	sqlSettle = `UPDATE report p SET state = u.state, tries = p.tries + u.failed, due = u.due, settled = u.now, taken_until = 0, taken_by = NULL, ref = u.ref, error = u.error
  FROM (SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]) u (id, state, failed, due, now, ref, error) ORDER BY id) u
  WHERE p.id = u.id AND p.state < 2 AND NOT (p.settled = u.now AND p.state = u.state AND p.due = u.due AND p.taken_until = 0)`
)

// readReports returns a row function that gathers rows of reportRows.
func readReports(out *[]bellhop.OutboxRow) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		var o bellhop.OutboxRow
		var kind int16
		var created int64
		var session, server *string
		var rest []byte
		err := r.Scan(&o.ID, &kind, &o.Run, &o.Attempt, &o.Ask.N, &created, &o.Tries, &o.Ask.Principal, &session, &server, &rest, &o.Ask.Withdrawn)
		if err != nil {
			return err
		}
		o.Kind, o.Created = wordOf(kinds(), kind), timeOf(created)
		if err := unpackAsk(rest, &o.Ask); err != nil {
			return err
		}
		o.Ask.Origin.Session, o.Ask.Origin.Server = orEmpty(session), orEmpty(server)
		*out = append(*out, o)
		return nil
	}
}

// Due takes pending reports whose time has come, those that wait longest
// first: a report that is tried again counts from its new time.
func (d *db) Due(ctx context.Context, req bellhop.DueRequest) (rows []bellhop.OutboxRow, next time.Time, err error) {
	now := micros(req.Now)
	err = d.write(ctx, "reading the outbox", func(t *tx) error {
		rows, next = nil, req.Now // when the answer is lost: look again
		alive, err := t.storeTime(d)
		if err != nil {
			return err
		}
		if req.N > 0 {
			t.each(sqlDue, readReports(&rows), now, text(req.Server), alive, req.N)
			if err := t.flush(); err != nil {
				return err
			}
		}
		ids := make([]int64, len(rows))
		for i, r := range rows {
			ids[i] = r.ID
		}
		if until := micros(req.Now.Add(req.For)); until > now && len(ids) > 0 {
			t.do(sqlTake, ids, until, textOrNull(req.Server))
		}
		var first int64
		t.each(sqlNextReport, func(r pgx.Rows) error { return r.Scan(&first) }, text(req.Server), alive, now, ids)
		t.each(sqlNextTaken, func(r pgx.Rows) error {
			var until *int64
			err := r.Scan(&until)
			if until != nil && (first == 0 || *until < first) {
				first = *until
			}
			next = timeOf(first)
			return err
		}, now)
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return rows, next, nil
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
	err = d.read(ctx, "the outbox", query, func() { rows = nil }, readReports(&rows), text(who), max(n, 0))
	return rows, err
}

// Settle records what became of reports.
func (d *db) Settle(ctx context.Context, settled []bellhop.Settlement) error {
	n := len(settled)
	ids, states, failed, dues, nows, refs, errs := make([]int64, n), make([]int16, n), make([]int32, n), make([]int64, n), make([]int64, n), make([]*string, n), make([]*string, n)
	for i, s := range settled {
		if states[i] = numberOf(reportStates(), s.State); states[i] < 0 {
			return bellhop.Errorf(bellhop.Invalid, "report %d can't become %q; the states are pending, delivered, unread, given_up", s.ID, s.State)
		}
		if s.State == bellhop.ReportPending || s.State == bellhop.ReportGivenUp {
			failed[i] = 1
		}
		ids[i], dues[i], nows[i], refs[i], errs[i] = s.ID, micros(s.Due), micros(s.Now), textOrNull(s.Ref), textOrNull(s.Error)
	}
	if n == 0 {
		return nil
	}
	return d.write(ctx, "settling reports", func(t *tx) error {
		for i := range settled {
			t.tellUntold(&settled[i])
		}
		t.do(sqlSettle, ids, states, failed, dues, nows, refs, errs)
		return nil
	})
}

// tellUntold queues that others are told of a report that is given up.
func (t *tx) tellUntold(s *bellhop.Settlement) {
	n := len(s.Tell)
	if s.State != bellhop.ReportGivenUp || n == 0 {
		return
	}
	principals, sessions, servers, rests := make([]string, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	for i := range s.Tell {
		a := packNewAsk(&s.Tell[i])
		principals[i], sessions[i], servers[i], rests[i] = a.principal, a.session, a.server, a.rest
	}
	t.do(sqlTellUntold, s.ID, numberOf(kinds(), bellhop.ReportUntold), micros(s.Now), principals, sessions, servers, rests)
}

// Tell writes reports of a run that runs.
func (d *db) Tell(ctx context.Context, ref bellhop.LeaseRef, kind bellhop.ReportKind, asks []bellhop.Ask, now time.Time) error {
	if numberOf(kinds(), kind) < 0 {
		return bellhop.Errorf(bellhop.Internal, "there is no report of kind %q", kind)
	}
	n := len(asks)
	ids, attempts, of, nows := make([]int64, n), make([]int32, n), make([]int16, n), make([]int64, n)
	principals, sessions, servers, rests := make([]string, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	for i := range asks {
		a := packNewAsk(&asks[i])
		ids[i], attempts[i], of[i], nows[i] = int64(ref.Run), int32(ref.Lease), numberOf(kinds(), kind), micros(now)
		principals[i], sessions[i], servers[i], rests[i] = a.principal, a.session, a.server, a.rest
	}
	lost := false
	err := d.write(ctx, "telling of a run", func(t *tx) error {
		lost = true
		t.each(sqlHolds, func(r pgx.Rows) error {
			var id, lease int64
			err := r.Scan(&id, &lease)
			lost = lost && lease != ref.Lease
			return err
		}, []int64{int64(ref.Run)})
		if err := t.flush(); err != nil || lost {
			return err
		}
		t.do(sqlInsertNotes, ids, attempts, of, nows, principals, sessions, servers, rests)
		return nil
	})
	if err == nil && lost {
		err = bellhop.ErrLeaseLost
	}
	return err
}
