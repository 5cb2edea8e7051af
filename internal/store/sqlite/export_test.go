package sqlite

import (
	"context"

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

// HotStatements are the statements whose cost may not grow with the history or
// the queue, each with the index or key that its plan must name for each table
// that it looks into.
func HotStatements() map[string][]string {
	const byID = "USING INTEGER PRIMARY KEY"
	return map[string][]string{
		sqlInsertKey:    nil,
		sqlQueued:       {byID},
		sqlRunStart:     {byID},
		sqlKeyRun:       {"USING PRIMARY KEY (key=?)"},
		sqlKeyAnswer:    {"USING PRIMARY KEY (key=?)"},
		sqlMergeTarget:  {"queue_merge (merge=?)"},
		sqlMergeQueue:   {byID},
		sqlDefinitionID: {"sqlite_autoindex_definition_1 (digest=?)"},
		sqlLane:         {"sqlite_autoindex_lane_1 (service=? AND job=? AND ckey=?)"},
		sqlLaneBound:    {"lane_ckey (ckey=?)"},
		sqlBehind:       {"queue_key (ckey=? AND phase=?)", "queue_key (ckey=? AND phase=? AND start<?)"},
		sqlReady:        {"queue_order (phase=? AND start<?)", byID},
		sqlReadyOne:     {byID},
		sqlNextStart:    {"queue_order (phase=?)"},
		sqlCountRunning: {"queue_key (ckey=? AND phase=?)"},
		sqlHeldBack:     {"queue_key (ckey=? AND phase=?)"},
		sqlClaim:        {byID},
		sqlHold:         {byID},
		sqlRelease:      {byID},
		sqlHeldRow:      {byID},
		sqlDequeue:      {byID},
		sqlRequeue:      {byID},
		sqlEndRun:       {byID},
		sqlReportFirst:  {byID},
		sqlReportRest:   {"USING PRIMARY KEY (run_id=?)"},
		sqlLease:        {byID},
		sqlSetHandle:    {byID},
		sqlRunning:      {"queue_order (phase=?)"},
		sqlCrashes:      {"USING PRIMARY KEY (run_id=?)"},
		sqlHolds:        {byID},
		sqlOutput:       {"USING PRIMARY KEY (run_id=? AND (attempt,seq)>(?,?))"},
		sqlTail:         {"USING PRIMARY KEY (run_id=? AND attempt=?)"},
		sqlDrop:         {"USING PRIMARY KEY (run_id=? AND attempt=? AND seq=?)"},
		sqlDue:          {"report_due (due<?)", byID},
		sqlNextDue:      {"report_due"},
		sqlUnreadOf:     {"report_unread (principal=?)", byID},
		sqlUnreadIn:     {"report_session (session=?)", byID},
		sqlSettle:       {byID},
		sqlRun:          {byID, "queue_key (ckey=? AND phase=?)"},
		sqlActive:       {"queue_order (phase=?)", byID},
		sqlAsks:         {byID, "USING PRIMARY KEY (run_id=?)"},
		sqlAttempts:     {byID, "USING PRIMARY KEY (run_id=?)"},
	}
}
