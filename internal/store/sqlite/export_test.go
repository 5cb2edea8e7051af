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
		sqlForgetRun:      {byID},
		sqlForgetEnded:    {byID},
		sqlForgetAsks:     {"USING PRIMARY KEY (run_id=?)"},
		sqlForgetAttempts: {"USING PRIMARY KEY (run_id=?)"},
		sqlForgetReports:  {byID},
		sqlIDs:            {byID},
		sqlIDsOfJob:       {"run_job (job=? AND rowid<?)"},
		sqlIDsOfState:     {"ended_state (state=? AND rowid<?)"},
		sqlIDsOfQueue:     {byID},
		sqlIDsAsked:       {"run_principal (principal=? AND rowid<?)"},
		sqlIDsJoined:      {"ask_principal (principal=? AND run_id<?)"},
		sqlServiceJobs:    {"sqlite_autoindex_job_1 (service=?)"},
		sqlCreatedAt:      {byID},
	}
}
