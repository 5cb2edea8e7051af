-- +goose Up
-- Times are microseconds since 1970 (0: none), enums are small numbers (see
-- encode.go). A run has a row in `run`, written once; one in `queue` while it
-- waits or runs; and one in `ended` from then on. `queue` needs no order: the
-- server that has the store keeps it in memory (queue.go).

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE definition (
  id     INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  job    BLOB NOT NULL            -- JSON
) STRICT;

-- Jobs and people by number, so that the indexes on runs stay narrow.
CREATE TABLE job (
  id      INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  name    TEXT NOT NULL,
  UNIQUE (service, name)
) STRICT;

CREATE TABLE principal (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- A lane is a job and a concurrency key: what verdicts look back along.
CREATE TABLE lane (
  id      INTEGER PRIMARY KEY,
  job     INTEGER NOT NULL,
  ckey    TEXT NOT NULL,
  bound   INTEGER NOT NULL,           -- the first lane with this ckey: what limits count by
  climit  INTEGER NOT NULL DEFAULT 0, -- of the first lane with this ckey: how many may run
  outcome INTEGER NOT NULL DEFAULT 0, -- the last succeeded or failed state
  UNIQUE (job, ckey)
) STRICT;
CREATE INDEX lane_ckey ON lane (ckey);

-- Ids are never used again: the newest run is never deleted.
CREATE TABLE run (
  id         INTEGER PRIMARY KEY,
  job        INTEGER NOT NULL,
  definition INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  retry_of   INTEGER,
  after      INTEGER,
  withdrawn  INTEGER NOT NULL DEFAULT 0, -- of ask 0
  principal  INTEGER NOT NULL,           -- of ask 0
  session    TEXT,                       -- of ask 0
  ask        BLOB NOT NULL,              -- the rest of ask 0
  args       BLOB                        -- JSON; NULL: none
) STRICT;
CREATE INDEX run_job ON run (job);
CREATE INDEX run_principal ON run (principal);

CREATE TABLE queue (
  run_id   INTEGER PRIMARY KEY,
  lane     INTEGER NOT NULL,
  start    INTEGER NOT NULL,
  ckey     INTEGER,                    -- lane.bound when it is limited
  priority INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  bound    INTEGER NOT NULL,           -- merging makes start no later than this; 0: not bounded
  running  INTEGER NOT NULL DEFAULT 0,
  asks     INTEGER NOT NULL DEFAULT 1,
  lease    INTEGER NOT NULL DEFAULT 0, -- how often it was claimed
  attempt  INTEGER NOT NULL DEFAULT 0,
  started  INTEGER NOT NULL DEFAULT 0,
  merge    BLOB,                       -- counts until it is claimed
  alike    BLOB,
  runner   TEXT,
  handle   TEXT,
  cancel   TEXT,                       -- who asked to end it
  reason   TEXT                        -- why it waits again
) STRICT;
CREATE INDEX queue_running ON queue (ckey) WHERE running = 1 AND ckey IS NOT NULL;

CREATE TABLE ended (
  run_id      INTEGER PRIMARY KEY,
  state       INTEGER NOT NULL,
  verdict     INTEGER NOT NULL,
  previous    INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  lease       INTEGER NOT NULL, -- how often it was claimed
  how         INTEGER NOT NULL, -- how the attempt that ended the run ended; 0: none ended it
  exit_status INTEGER,
  priority    INTEGER NOT NULL,
  output      INTEGER NOT NULL, -- bytes of it that are kept; -1: forgotten
  start       INTEGER NOT NULL,
  deadline    INTEGER NOT NULL,
  started     INTEGER NOT NULL,
  finished    INTEGER NOT NULL,
  runner      TEXT,
  error       TEXT,
  result      BLOB,
  warnings    BLOB              -- JSON
) STRICT;
CREATE INDEX ended_state ON ended (state);

-- Asks that joined a run; ask 0 is in run.
CREATE TABLE ask (
  run_id    INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL DEFAULT 0,
  principal INTEGER NOT NULL,
  session   TEXT,
  ask       BLOB NOT NULL,
  PRIMARY KEY (run_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX ask_principal ON ask (principal, run_id);

-- A long key is shortened to its beginning and a hash (encode.go): neighbours
-- stay neighbours, since many sources count upwards.
CREATE TABLE key (
  key    TEXT PRIMARY KEY,
  run_id INTEGER NOT NULL, -- 0: it made no run; below: it was rejected for that one
  at     INTEGER NOT NULL,
  answer BLOB              -- what it was answered instead, JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
  id       INTEGER PRIMARY KEY,
  kind     INTEGER NOT NULL,
  service  TEXT NOT NULL,
  job      TEXT NOT NULL,
  args     BLOB,
  since    INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  by       TEXT NOT NULL,
  at       INTEGER NOT NULL,
  ended    INTEGER NOT NULL DEFAULT 0,
  ended_by TEXT
) STRICT;
CREATE INDEX hold_open ON hold (ended) WHERE ended = 0;

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

-- A report's id is its run's, shifted, and its number (outbox.go).
CREATE TABLE report (
  id        INTEGER PRIMARY KEY,
  ask       INTEGER NOT NULL,           -- -1: see told
  attempt   INTEGER NOT NULL,
  kind      INTEGER NOT NULL,
  state     INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 unread, 2 delivered, 3 given up
  tries     INTEGER NOT NULL DEFAULT 0,
  created   INTEGER NOT NULL,
  due       INTEGER NOT NULL,
  settled   INTEGER NOT NULL DEFAULT 0,
  principal INTEGER NOT NULL,
  session   TEXT,
  ref       TEXT,
  error     TEXT,
  told      BLOB                        -- the ask of one who did not ask
) STRICT;
CREATE INDEX report_pending ON report (state) WHERE state = 0;
CREATE INDEX report_session ON report (session, created) WHERE session IS NOT NULL AND state < 2;
CREATE INDEX report_unread ON report (principal, created) WHERE state = 1;

-- +goose Down
SELECT 1;
