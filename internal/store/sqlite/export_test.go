package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/bellhop-io/bellhop"
)

// Setting asks the connection that writes for one of its settings.
func Setting(s *bellhop.Store, pragma string) (n int64, err error) {
	err = s.Queue.(*db).do(context.Background(), func(t *tx) (err error) {
		n, err = t.number("PRAGMA " + pragma)
		return err
	})
	return n, err
}

// LogLimit returns after how many pages the log is emptied where so many bytes
// are free.
var LogLimit = logLimit

// Turns returns how many transactions the writer has begun.
func Turns(s *bellhop.Store) (n int) {
	_ = s.Queue.(*db).do(context.Background(), func(t *tx) error {
		n = int(t.q.serial)
		return nil
	})
	return n
}

// Undone claims, and gives output to what was claimed before and asks for its
// end, in a transaction that fails.
func Undone(s *bellhop.Store, req bellhop.ClaimRequest, before []bellhop.ClaimedRun) {
	_ = s.Queue.(*db).do(context.Background(), func(t *tx) error {
		for i := range before {
			if e := t.holding(bellhop.LeaseRef{Run: before[i].Run.ID, Lease: before[i].Lease}); e != nil {
				data := bellhop.OutputBatch{Chunks: []bellhop.Chunk{{Seq: 7, Channel: bellhop.Stdout, Data: []byte("undone")}}}
				if err := t.appendOutput(e, &data); err != nil {
					return err
				}
			}
		}
		c := &claiming{t: t, req: &req, now: micros(req.Now)}
		if err := c.any(); err != nil {
			return err
		}
		return errors.New("undone")
	})
}

// CheckMemory compares what the writer has in memory with what it would read
// from the file, and returns the first difference.
func CheckMemory(s *bellhop.Store) (diff string) {
	d := s.Queue.(*db)
	err := d.do(context.Background(), func(t *tx) error {
		diff = t.checkQueue()
		if diff == "" {
			diff = t.checkRest()
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return diff
}

func (t *tx) checkQueue() string {
	has := t.q
	defer func() { t.q = has }()
	if err := t.recallQueue(); err != nil {
		return err.Error()
	}
	if len(has.byID) != len(t.q.byID) {
		return fmt.Sprintf("%d entries, want %d", len(has.byID), len(t.q.byID))
	}
	untouched, deadlines, facts := map[hash]bool{}, 0, 0
	inPhases := 0
	for id, want := range t.q.byID {
		got := has.byID[id]
		if got == nil {
			return fmt.Sprintf("run %d is missing", id)
		}
		a, b := *got, *want
		for _, e := range []*entry{&a, &b} { // what the file does not say
			e.facts, e.mark, e.place, e.nextAlike, e.formerAlike, e.output, e.hold, e.handled = nil, 0, [slots]int32{}, nil, nil, 0, 0, false
			if e.waits() {
				e.phase = phaseFuture
			}
		}
		if a != b {
			return fmt.Sprintf("run %d is %+v, want %+v", id, a, b)
		}
		if want.untouched() && want.merge != (hash{}) {
			untouched[want.merge] = true
			if has.merge[want.merge] != got {
				return fmt.Sprintf("run %d is not found by its merge key", id)
			}
		}
		if want.untouched() && want.deadline != 0 {
			deadlines++
		}
		if got.facts != nil {
			facts++
		}
		if got.phase != phaseRunning {
			inPhases++
			if h := has.phaseHeap(got); h.items[got.place[slotPhase]-1] != got {
				return fmt.Sprintf("run %d is not in its phase", id)
			}
		}
	}
	if len(has.merge) != len(untouched) || has.deadlines.len() != deadlines || has.facts != facts {
		return fmt.Sprintf("%d merge keys, %d deadlines, %d facts; want %d, %d, %d", len(has.merge), has.deadlines.len(), has.facts, len(untouched), deadlines, facts)
	}
	inHeaps := has.future.len() + has.ready.len() + has.late.len() + has.asked.len()
	for _, h := range has.held {
		inHeaps += h.len()
	}
	for key, g := range has.groups {
		want := t.q.groups[key]
		if want == nil || len(want.running) != len(g.running) || want.starts.len() != g.starts.len() || want.asked != g.asked {
			return fmt.Sprintf("key %d has %d that run, %d that wait, %d that are held", key, len(g.running), g.starts.len(), g.asked)
		}
		ready := 0
		for _, e := range g.starts.items {
			if e.phase == phaseReady {
				ready++
			}
		}
		if g.ready != ready {
			return fmt.Sprintf("key %d has %d ready, want %d", key, g.ready, ready)
		}
		if g.limit != want.limit {
			return fmt.Sprintf("key %d has limit %d, want %d", key, g.limit, want.limit)
		}
		if inHeaps += g.blocked.len(); g.blocked.len() > 0 && int64(len(g.running)+g.ready) < g.limit {
			return fmt.Sprintf("run %d is kept back by a limit that leaves room", g.blocked.top().id)
		}
	}
	if inHeaps != inPhases || len(has.groups) != len(t.q.groups) {
		return fmt.Sprintf("%d in phases, want %d; %d keys, want %d", inHeaps, inPhases, len(has.groups), len(t.q.groups))
	}
	return t.checkAlikes(has)
}

func (t *tx) checkAlikes(has *queue) string {
	if len(has.alike) != len(t.q.alike) {
		return fmt.Sprintf("%d alike keys, want %d", len(has.alike), len(t.q.alike))
	}
	count := func(l *alikes) (n int) {
		for e := l.first; e != nil; e = e.nextAlike {
			n++
		}
		return n
	}
	for key, want := range t.q.alike {
		if got := has.alike[key]; got == nil || count(got) != count(want) {
			return fmt.Sprintf("an alike key has %v, want %v", got, want)
		}
	}
	return ""
}

// checkRest compares the counters and the outbox.
func (t *tx) checkRest() string {
	size, err := t.number(`SELECT coalesce(sum(length(data)), 0) FROM output o WHERE EXISTS (SELECT 1 FROM ended e WHERE e.run_id = o.run_id)`)
	if err != nil || size != t.outputSize {
		return fmt.Sprintf("%d bytes of output, want %d (%v)", t.outputSize, size, err)
	}
	pending, err := t.number(`SELECT count(*) FROM report WHERE state = 0`)
	if n := len(t.db.outbox.order); err != nil || n != int(pending) || n != len(t.db.outbox.byID) {
		return fmt.Sprintf("%d pending reports, want %d (%v)", n, pending, err)
	}
	return ""
}

// HotStatements are the statements whose cost may not grow with the history or
// the queue, each with the index or key that its plan must name for each table
// that it looks into.
func HotStatements() map[string][]string {
	const byID = "USING INTEGER PRIMARY KEY"
	return map[string][]string{
		sqlInsertKey:      nil,
		sqlKeyRun:         {"USING PRIMARY KEY (key=?)"},
		sqlKeyAnswer:      {"USING PRIMARY KEY (key=?)"},
		sqlKeys:           {"USING PRIMARY KEY (key>?)"},
		sqlForgetKey:      {"USING PRIMARY KEY (key=?)"},
		sqlCreated:        {byID},
		sqlEndedStart:     {byID},
		sqlEndedState:     {byID},
		sqlMergeQueue:     {byID},
		sqlDefinitionID:   {"sqlite_autoindex_definition_1 (digest=?)"},
		sqlDigest:         {byID},
		sqlJobID:          {"sqlite_autoindex_job_1 (service=? AND name=?)"},
		sqlJobName:        {byID},
		sqlPrincipalID:    {"sqlite_autoindex_principal_1 (name=?)"},
		sqlPrincipalName:  {byID},
		sqlLane:           {"sqlite_autoindex_lane_1 (job=? AND ckey=?)"},
		sqlLaneByID:       {byID},
		sqlLaneBound:      {"lane_ckey (ckey=?)"},
		sqlFacts:          {byID},
		sqlClaims + "?)":  {byID},
		sqlFirstAsk:       {byID, "USING PRIMARY KEY (run_id=?)"},
		sqlDequeue + "?)": {byID},
		sqlRequeue:        {byID},
		sqlRunAsks:        {byID, "USING PRIMARY KEY (run_id=?)"},
		sqlOwnAsks:        {byID, "USING PRIMARY KEY (run_id=?)"},
		sqlLastReport:     {byID},
		sqlLease:          {byID},
		sqlSetHandle:      {byID},
		sqlCrashes:        {"USING PRIMARY KEY (run_id=?)"},
		sqlOutput:         {"USING PRIMARY KEY (run_id=? AND (attempt,seq)>(?,?))"},
		sqlTail:           {"USING PRIMARY KEY (run_id=? AND attempt=?)"},
		sqlDrop:           {"USING PRIMARY KEY (run_id=? AND attempt=? AND seq=?)"},
		sqlOutputSize:     {"USING PRIMARY KEY (run_id=?)"},
		sqlPending:        {"report_pending (state=?)"},
		sqlReport:         {byID},
		sqlUnreadOf:       {"report_unread (principal=?)", byID},
		sqlUnreadIn:       {"report_session (session=?)", byID},
		sqlSettle:         {byID},
		sqlRun:            {byID, "queue_running (ckey=?)"},
		sqlAttempts:       {byID, "USING PRIMARY KEY (run_id=?)"},
		sqlOpenHolds:      {"hold_open (ended=?)"},
		sqlHold:           {byID},
		sqlEndHold:        {byID},
		sqlOld:            {byID},
		sqlEndedOutput:    {byID},
		sqlForgetOutput:   {"USING PRIMARY KEY (run_id=?)"},
		sqlForgetChunks:   {"USING PRIMARY KEY (run_id=? AND attempt=? AND seq=?)"},
		sqlForgetRun:      {byID},
		sqlForgetEnded:    {byID},
		sqlForgetAsks:     {"USING PRIMARY KEY (run_id=?)"},
		sqlForgetAttempts: {"USING PRIMARY KEY (run_id=?)"},
		sqlForgetReports:  {byID},
		sqlPendingOf:      {byID},
		sqlIDs:            {byID},
		sqlIDsOfJob:       {"run_job (job=? AND rowid<?)"},
		sqlIDsOfState:     {"ended_state (state=? AND rowid<?)"},
		sqlIDsWaiting:     {byID},
		sqlIDsRunning:     {byID},
		sqlIDsHeld:        {byID},
		sqlGiven:          {byID},
		sqlAwaitNoMore:    {byID},
		sqlSetApproval:    {byID},
		sqlApproval:       {byID},
		sqlIDsAsked:       {"run_principal (principal=? AND rowid<?)"},
		sqlIDsJoined:      {"ask_principal (principal=? AND run_id<?)"},
		sqlCameOf:         {"run_retry (retry_of=?)", "run_after (after=?)"},
		sqlSift:           {byID},
		sqlShelf:          {byID},
		sqlCreatedAt:      {byID},

		sqlChainID:       {"sqlite_autoindex_audit_chain_1 (name=?)"},
		sqlAuditsFrom:    {byID},
		sqlAuditPage:     {byID},
		sqlAuditPageOf:   {byID},
		sqlAuditAt:       {byID},
		sqlAuditIDs:      {byID},
		sqlAuditCovered:  {"USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "USING PRIMARY KEY (key=? AND page<?)"},
		sqlAuditIDsByKey: {"USING PRIMARY KEY (key=? AND page<?)"},
		sqlValue:         {"sqlite_autoindex_value_1 (namespace=? AND key=?)"},
		sqlValues:        {"sqlite_autoindex_value_1 (namespace=? AND key>? AND key<?)"},
		sqlExpired:       {"value_expires (expires>? AND expires<?)"},
		sqlForgetValue:   {byID},
		sqlSecret:        {"USING PRIMARY KEY (owner=? AND name=?)"},
	}
}
