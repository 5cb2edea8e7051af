package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// reportBits are the bits of a report's id that count the reports of its run;
// the others are the run's. So all reports of a run lie together. Those of Tell
// count from postedReport on, so that a run that was claimed once is known to
// have no others. With maxAsks asks there is room for more than 800 reports to
// each, of either.
const (
	reportBits   = 24
	postedReport = 1 << (reportBits - 1)
)

const (
	// The ask is in the run's record, beside it, or here; all by PRIMARY KEY.
	reportRows = `SELECT p.id, p.kind, p.attempt, p.ask, p.created, p.tries, n.name, p.session,
  CASE p.ask WHEN -1 THEN p.told WHEN 0 THEN r.ask ELSE a.ask END, CASE p.ask WHEN -1 THEN 0 WHEN 0 THEN r.withdrawn ELSE a.withdrawn END
  FROM report p CROSS JOIN run r ON r.id = p.id >> 24 CROSS JOIN principal n ON n.id = p.principal LEFT JOIN ask a ON a.run_id = r.id AND a.n = p.ask`
	sqlReport = reportRows + ` WHERE p.id = ? AND p.state = 0`
	// By report_unread.
	sqlUnreadOf = reportRows + ` WHERE p.state = 1 AND p.principal = (SELECT id FROM principal WHERE name = ?) ORDER BY p.created, p.id LIMIT ? + 0`
	// By report_session.
	sqlUnreadIn = reportRows + ` WHERE p.state < 2 AND p.session IS NOT NULL AND p.session = ? ORDER BY p.created, p.id LIMIT ? + 0`

	// By report_pending, once.
	sqlPending = `SELECT id, due FROM report WHERE state = 0`
	// By PRIMARY KEY. What was delivered or given up stays so.
	sqlSettle        = `UPDATE report SET state = ?, tries = tries + ?, due = ?, settled = ?, ref = ?, error = ? WHERE id = ? AND state < 2`
	sqlReportAttempt = `SELECT attempt FROM report WHERE id = ?`
	sqlLastReport    = `SELECT max(id) FROM report WHERE id BETWEEN ? AND ?`
)

// telling is what is told to some who did not ask.
type telling struct {
	kind bellhop.ReportKind
	whom []preparedAsk
}

// tell writes a report of a kind for each ask of a run that is not withdrawn,
// unless the kind is "", and what others are told. first: the run has none yet,
// but for those of its approval.
func (t *tx) tell(e *entry, kind bellhop.ReportKind, others telling, now int64, first bool) error {
	id := e.id << reportBits
	if !first || e.approved {
		last, err := t.number(sqlLastReport, id, id|(postedReport-1))
		if err != nil {
			return err
		}
		if last != 0 {
			id = last + 1
		}
	}
	row := bellhop.OutboxRow{Run: bellhop.RunID(e.id), Attempt: int(e.lease), Kind: kind, Created: timeOf(now)}
	if kind != "" {
		asks, err := t.reported(e)
		if err != nil {
			return err
		}
		for i := range asks {
			row.ID, row.Ask = id, asks[i]
			if err := t.insertReport(row, nil, now); err != nil {
				return err
			}
			id++
		}
	}
	row.Kind = others.kind
	for _, a := range others.whom {
		row.ID, row.Ask = id, *a.ask
		row.Ask.N, row.Ask.Withdrawn, row.Ask.At = -1, false, timeOf(micros(a.ask.At))
		if err := t.insertReport(row, a.packed, now); err != nil {
			return err
		}
		id++
	}
	return nil
}

// tellUntold tells others of a report that was given up.
func (t *tx) tellUntold(s *bellhop.Settlement) error {
	if s.State != bellhop.ReportGivenUp || len(s.Tell) == 0 {
		return nil
	}
	run := s.ID >> reportBits
	last, err := t.number(sqlLastReport, run<<reportBits, run<<reportBits|(postedReport-1))
	if err != nil {
		return err
	}
	attempt, err := t.number(sqlReportAttempt, s.ID)
	if err != nil {
		return err
	}
	last = max(last, run<<reportBits-1) // when only those of Tell are there
	for i, a := range s.Tell {
		a.N, a.Withdrawn, a.At = -1, false, timeOf(micros(a.At))
		row := bellhop.OutboxRow{ID: last + 1 + int64(i), Run: bellhop.RunID(run), Attempt: int(attempt), Kind: bellhop.ReportUntold, Created: timeOf(micros(s.Now)), Ask: a}
		if err := t.insertReport(row, packAsk(&a), micros(s.Now)); err != nil {
			return err
		}
	}
	return nil
}

// Tell writes reports of a run that runs.
func (d *db) Tell(ctx context.Context, ref bellhop.LeaseRef, kind bellhop.ReportKind, asks []bellhop.Ask, now time.Time) error {
	if numberOf(kinds(), kind) < 0 {
		return bellhop.Errorf(bellhop.Internal, "there is no report of kind %q", kind)
	}
	var refused error
	err := d.do(ctx, func(t *tx) error {
		refused = nil
		e := t.holding(ref)
		if e == nil {
			refused = bellhop.ErrLeaseLost
			return nil
		}
		first := e.id<<reportBits | postedReport
		last, err := t.number(sqlLastReport, first, first|(postedReport-1))
		if err != nil {
			return err
		}
		id := max(first, last+1)
		if id+int64(len(asks)) > first+postedReport {
			refused = bellhop.Errorf(bellhop.Conflict, "%s has told as much as a run may", ref.Run)
			return nil
		}
		for i, a := range asks {
			a.N, a.Withdrawn, a.At = -1, false, timeOf(micros(a.At))
			row := bellhop.OutboxRow{ID: id + int64(i), Run: ref.Run, Attempt: int(e.lease), Kind: kind, Created: timeOf(micros(now)), Ask: a}
			if err := t.insertReport(row, packAsk(&a), micros(now)); err != nil {
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

// reported returns the asks of a run that are not withdrawn.
func (t *tx) reported(e *entry) ([]bellhop.Ask, error) {
	if e.asks == 1 && e.facts != nil && !e.facts.ask.Withdrawn {
		return []bellhop.Ask{e.facts.ask}, nil
	}
	var all, asks []bellhop.Ask
	if err := t.query(sqlRunAsks, collectAsks(&all), e.id); err != nil {
		return nil, err
	}
	for _, a := range all {
		if !a.Withdrawn {
			asks = append(asks, a)
		}
	}
	return asks, nil
}

func (t *tx) insertReport(o bellhop.OutboxRow, told []byte, now int64) error {
	principal, err := t.principal(o.Ask.Principal)
	if err != nil {
		return err
	}
	t.report.add(o.ID, int64(o.Ask.N), int64(o.Attempt), numberOf(kinds(), o.Kind), now, now, principal, textOrNull(o.Ask.Origin.Session), blobOrNull(told))
	t.reports = append(t.reports, pending{id: o.ID, at: now, row: &o})
	return t.flushFull(t.report)
}

// outbox is the pending reports, in memory: they are taken here, since there is
// one server. It has a lock of its own and does not wait for the writer.
type outbox struct {
	mu    sync.Mutex
	byID  map[int64]*pending
	order []*pending // a heap by at, id
	rows  int        // how many have their row
}

// pending is a report that is to be delivered.
type pending struct {
	id, at int64              // at: when it is due, or given to somebody else
	row    *bellhop.OutboxRow // nil: is read from the file
	place  int
}

// maxRows bounds how many rows are kept in memory.
const maxRows = 8192

func newOutbox() *outbox { return &outbox{byID: map[int64]*pending{}} }

func (p *pending) before(q *pending) bool { return p.at < q.at || p.at == q.at && p.id < q.id }

func (o *outbox) add(all []pending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range all {
		if _, ok := o.byID[all[i].id]; ok {
			continue // the writer has read the file anew
		}
		p := &pending{id: all[i].id, at: all[i].at, row: all[i].row}
		if p.row != nil && o.rows >= maxRows {
			p.row = nil
		}
		if p.row != nil {
			o.rows++
		}
		o.byID[p.id] = p
		o.push(p)
	}
}

func (o *outbox) push(p *pending) {
	p.place = len(o.order)
	o.order = append(o.order, p)
	o.up(p.place)
}

// pop takes the first one out of the order, but not out of the outbox.
func (o *outbox) pop() *pending {
	p := o.order[0]
	o.take(p)
	return p
}

func (o *outbox) take(p *pending) {
	i, last := p.place, len(o.order)-1
	moved := o.order[last]
	o.order[last] = nil
	o.order = o.order[:last]
	if i < last {
		o.order[i], moved.place = moved, i
		if !o.up(i) {
			o.down(i)
		}
	}
}

func (o *outbox) swap(i, j int) {
	o.order[i], o.order[j] = o.order[j], o.order[i]
	o.order[i].place, o.order[j].place = i, j
}

func (o *outbox) up(i int) (moved bool) {
	for i > 0 && o.order[i].before(o.order[(i-1)/2]) {
		o.swap(i, (i-1)/2)
		i, moved = (i-1)/2, true
	}
	return moved
}

func (o *outbox) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(o.order) {
			return
		}
		if child+1 < len(o.order) && o.order[child+1].before(o.order[child]) {
			child++
		}
		if !o.order[child].before(o.order[i]) {
			return
		}
		o.swap(i, child)
		i = child
	}
}

// settle does to the outbox what was done to the file.
func (o *outbox) settle(settled []bellhop.Settlement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range settled {
		p := o.byID[s.ID]
		switch {
		case s.State == bellhop.ReportPending && p != nil:
			o.take(p)
			p.at = micros(s.Due)
			if p.row != nil {
				row := *p.row
				row.Tries++
				p.row = &row
			}
			o.push(p)
		case s.State == bellhop.ReportPending: // an unread one, again
			p = &pending{id: s.ID, at: micros(s.Due)}
			o.byID[p.id] = p
			o.push(p)
		case p != nil:
			o.drop(p)
		}
	}
}

func (o *outbox) drop(p *pending) {
	o.take(p)
	delete(o.byID, p.id)
	if p.row != nil {
		o.rows--
	}
}

// forget drops the reports of runs that were deleted.
func (o *outbox) forget(ids []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if p := o.byID[id]; p != nil {
			o.drop(p)
		}
	}
}

// due takes up to n reports until a time, and says when another one is due.
// Those that keep names as another's stay. What it returns are copies.
func (o *outbox) due(now, until int64, n int, keep func(p *pending) (left int64, err error)) (taken []pending, next int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []*pending
	for err == nil && len(taken) < n && len(o.order) > 0 && o.order[0].at <= now {
		p := o.pop()
		out = append(out, p)
		var left int64
		if left, err = keep(p); err != nil {
			break
		}
		if left != 0 { // another server's, which lives until then
			next = earlier(next, max(left, now+1))
			continue
		}
		taken = append(taken, *p)
	}
	if len(o.order) > 0 {
		next = earlier(next, o.order[0].at)
	}
	for i := range taken {
		if err == nil && until > now {
			o.byID[taken[i].id].at = until
			next = earlier(next, until)
		}
	}
	for _, p := range out {
		o.push(p)
	}
	return taken, next, err
}

// earlier returns the earlier of two times, 0 being none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// readReports returns a row function that gathers rows of reportRows.
func readReports(out *[]bellhop.OutboxRow) func(row) error {
	return func(r row) error {
		o := bellhop.OutboxRow{
			ID: r.int(0), Kind: wordOf(kinds(), r.int(1)), Run: bellhop.RunID(r.int(0) >> reportBits), Attempt: int(r.int(2)),
			Created: timeOf(r.int(4)), Tries: int(r.int(5)),
			Ask: bellhop.Ask{N: int(r.int(3)), Principal: r.text(6), Withdrawn: r.int(9) != 0},
		}
		if err := unpackAsk(r.blob(8), &o.Ask); err != nil {
			return err
		}
		o.Ask.Origin.Session = r.text(7)
		*out = append(*out, o)
		return nil
	}
}

// recallOutbox reads which reports are pending.
func (d *db) recallOutbox(ctx context.Context) error {
	return d.reads.use(ctx, func(c *conn) error {
		var all []pending
		err := c.query(ctx, sqlPending, func(r row) error {
			all = append(all, pending{id: r.int(0), at: r.int(1)})
			return nil
		})
		d.outbox.add(all)
		return err
	})
}

// Due takes pending reports whose time has come, those that wait longest
// first: a report that is tried again counts from its new time.
func (d *db) Due(ctx context.Context, req bellhop.DueRequest) (rows []bellhop.OutboxRow, next time.Time, err error) {
	if d.writer == nil {
		return nil, time.Time{}, errReadOnly()
	}
	err = d.read(ctx, "the outbox", func(c *conn) error {
		others := d.cluster.others(req.Server)
		fill := func(p *pending) error {
			if p.row != nil {
				return nil
			}
			var found []bellhop.OutboxRow
			if err := c.query(ctx, sqlReport, readReports(&found), p.id); err != nil {
				return err
			}
			if len(found) > 0 {
				p.row = &found[0]
			}
			return nil
		}
		now := micros(req.Now)
		taken, at, err := d.outbox.due(now, now+req.For.Microseconds(), req.N, func(p *pending) (int64, error) {
			if len(others) == 0 {
				return 0, nil
			}
			look := *p
			err := fill(&look)
			if err != nil || look.row == nil {
				return 0, err
			}
			return others[look.row.Ask.Origin.Server], nil
		})
		if err != nil {
			return err
		}
		next = timeOf(at)
		for i := range taken {
			if err := fill(&taken[i]); err != nil {
				d.outbox.giveBack(taken)
				return err
			}
			if taken[i].row != nil { // else it was settled in the meantime
				rows = append(rows, *taken[i].row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return rows, next, nil
}

// giveBack undoes a taking that came to nothing.
func (o *outbox) giveBack(taken []pending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range taken {
		if p := o.byID[t.id]; p != nil {
			o.take(p)
			p.at = t.at
			o.push(p)
		}
	}
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
		changed := make([]bellhop.Settlement, 0, len(settled))
		for _, s := range settled {
			failed := int64(0)
			if s.State == bellhop.ReportPending || s.State == bellhop.ReportGivenUp {
				failed = 1
			}
			n, err := t.exec(sqlSettle, numberOf(reportStates(), s.State), failed, micros(s.Due), micros(s.Now), textOrNull(s.Ref), textOrNull(s.Error), s.ID)
			if err != nil {
				return err
			}
			if n > 0 {
				changed = append(changed, s)
				if err := t.tellUntold(&s); err != nil {
					return err
				}
			}
		}
		t.after(func() { d.outbox.settle(changed) })
		return nil
	})
}
