-- +goose Up
-- Times are microseconds since 1970 (0: none), enums are small numbers (see
-- encode.go). `queue` holds only what waits or runs and stays narrow; `run` is
-- the record, written when the run is made and once more when it ends.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE definition (
  id     INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  job    BLOB NOT NULL            -- JSON
) STRICT;

-- A lane is a service, job and concurrency key: what verdicts look back along.
CREATE TABLE lane (
  id      INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  job     TEXT NOT NULL,
  ckey    TEXT NOT NULL,
  bound   INTEGER NOT NULL,           -- the first lane with this ckey: what limits count by
  outcome INTEGER NOT NULL DEFAULT 0, -- the last succeeded or failed state
  UNIQUE (service, job, ckey)
) STRICT;
CREATE INDEX lane_ckey ON lane (ckey);

-- Ids are never used again: whoever deletes old runs keeps the newest.
CREATE TABLE run (
  id          INTEGER PRIMARY KEY,
  lane        INTEGER NOT NULL,
  definition  INTEGER NOT NULL,
  state       INTEGER NOT NULL DEFAULT 0, -- terminal states only; else see queue
  verdict     INTEGER NOT NULL DEFAULT 0,
  previous    INTEGER NOT NULL DEFAULT 0,
  attempt     INTEGER NOT NULL DEFAULT 0,
  lease       INTEGER NOT NULL DEFAULT 0, -- how often it was claimed
  how         INTEGER NOT NULL DEFAULT 0, -- how the attempt that ended the run ended; 0: none ended it
  exit_status INTEGER,
  withdrawn   INTEGER NOT NULL DEFAULT 0, -- of ask 0
  retry_of    INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  start       INTEGER NOT NULL,
  started     INTEGER NOT NULL DEFAULT 0,
  finished    INTEGER NOT NULL DEFAULT 0,
  principal   TEXT NOT NULL,              -- of ask 0
  session     TEXT,                       -- of ask 0
  runner      TEXT,
  error       TEXT,
  ask         BLOB NOT NULL,              -- the rest of ask 0
  args        BLOB,                       -- JSON; NULL: none
  result      BLOB,
  warnings    BLOB                        -- JSON
) STRICT;

CREATE TABLE queue (
  run_id  INTEGER PRIMARY KEY,
  phase   INTEGER NOT NULL,           -- 0 waits for its start, 1 held back by its limit, 2 runs
  start   INTEGER NOT NULL,
  lane    INTEGER NOT NULL,
  ckey    INTEGER,                    -- lane.bound when it is limited
  climit  INTEGER NOT NULL,
  asks    INTEGER NOT NULL DEFAULT 1,
  lease   INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 0,
  started INTEGER NOT NULL DEFAULT 0,
  merge   BLOB,                       -- NULL once it was claimed
  runner  TEXT,
  handle  TEXT,
  cancel  TEXT,                       -- who asked to end it
  reason  TEXT                        -- why it waits again
) STRICT;
CREATE INDEX queue_order ON queue (phase, start);
CREATE INDEX queue_key ON queue (ckey, phase, start) WHERE ckey IS NOT NULL;
CREATE UNIQUE INDEX queue_merge ON queue (merge) WHERE merge IS NOT NULL;

-- Asks that joined a run; ask 0 is in run.
CREATE TABLE ask (
  run_id    INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL DEFAULT 0,
  principal TEXT NOT NULL,
  session   TEXT,
  ask       BLOB NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
  key    TEXT PRIMARY KEY,
  run_id INTEGER NOT NULL, -- 0: it made no run
  at     INTEGER NOT NULL,
  answer BLOB              -- of a cancellation, JSON
) STRICT, WITHOUT ROWID;

-- Attempts after which the run went on; the last one is in run.
CREATE TABLE attempt (
  run_id      INTEGER NOT NULL,
  n           INTEGER NOT NULL,
  how         INTEGER NOT NULL,
  exit_status INTEGER,
  started     INTEGER NOT NULL,
  ended       INTEGER NOT NULL,
  runner      TEXT,
  reason      TEXT,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE output (
  run_id  INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  place   INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  data    BLOB NOT NULL,
  PRIMARY KEY (run_id, attempt, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE report (
  id        INTEGER PRIMARY KEY,
  run_id    INTEGER NOT NULL,
  ask       INTEGER NOT NULL,
  attempt   INTEGER NOT NULL,
  kind      INTEGER NOT NULL,
  state     INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 unread, 2 delivered, 3 given up
  tries     INTEGER NOT NULL DEFAULT 0,
  created   INTEGER NOT NULL,
  due       INTEGER NOT NULL,
  settled   INTEGER NOT NULL DEFAULT 0,
  principal TEXT NOT NULL,
  session   TEXT,
  ref       TEXT,
  error     TEXT
) STRICT;
CREATE INDEX report_due ON report (due) WHERE state = 0;
CREATE INDEX report_session ON report (session) WHERE session IS NOT NULL AND state < 2;
CREATE INDEX report_unread ON report (principal) WHERE state = 1;

-- +goose Down
SELECT 1;
