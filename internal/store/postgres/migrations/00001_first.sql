-- +goose Up
-- Everything is in the schema named bellhop, which the connection's
-- search_path names. Times are microseconds since 1970 (0: none), enums small
-- numbers (encode.go), keys that are only compared the halves of a SHA-256.
--
-- History is only ever inserted: run when it is made, outcome when it ends.
-- What changes is narrow and short-lived: waiting and running.

CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);

CREATE SEQUENCE run_id;

CREATE TABLE definition (
  id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest text NOT NULL UNIQUE,
  job    bytea NOT NULL -- JSON
);

CREATE TABLE job (
  id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service text NOT NULL,
  name    text NOT NULL,
  UNIQUE (service, name)
);

-- A bound is a concurrency key: what limits count by, whatever the job.
CREATE TABLE bound (
  id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ckey   text NOT NULL UNIQUE,
  climit int NOT NULL DEFAULT 0 -- how many may run: what was submitted last says so
) WITH (fillfactor = 70);

-- A lane is a job and a concurrency key: what verdicts look back along.
CREATE TABLE lane (
  id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job     int NOT NULL,
  bound   int NOT NULL,
  outcome smallint NOT NULL DEFAULT 0, -- the last succeeded or failed state
  UNIQUE (job, bound)
) WITH (fillfactor = 70);

CREATE TABLE run (
  id         bigint PRIMARY KEY,
  lane       int NOT NULL,
  job        int NOT NULL,
  definition int NOT NULL,
  retry_of   bigint NOT NULL,
  after      bigint NOT NULL,
  created    bigint NOT NULL,
  withdrawn  boolean NOT NULL DEFAULT false, -- ask 0
  principal  text NOT NULL,                  -- of ask 0
  session    text,                           -- of ask 0
  server     text,                           -- of ask 0
  ask        bytea NOT NULL,                 -- the rest of ask 0
  args       bytea                           -- JSON; NULL: none
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX run_job ON run (job, id);
CREATE INDEX run_principal ON run (principal, id);
CREATE INDEX run_created ON run USING brin (created) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE outcome (
  run_id      bigint PRIMARY KEY,
  state       smallint NOT NULL,
  verdict     smallint NOT NULL,
  previous    smallint NOT NULL,
  rank        smallint NOT NULL,
  how         smallint NOT NULL, -- how the attempt that ended the run ended; 0: none ended it
  forgotten   boolean NOT NULL DEFAULT false, -- its output was deleted
  attempt     int NOT NULL,
  lease       int NOT NULL,      -- how often it was claimed
  exit_status int,
  start       bigint NOT NULL,
  deadline    bigint NOT NULL,
  started     bigint NOT NULL,
  finished    bigint NOT NULL,
  output      bigint NOT NULL,   -- bytes that are kept
  runner      text,
  error       text,
  result      bytea,
  warnings    bytea              -- JSON
);
CREATE INDEX outcome_bad ON outcome (state, run_id) WHERE state <> 4;

CREATE TABLE waiting (
  run_id   bigint PRIMARY KEY,
  phase    smallint NOT NULL, -- 0 in the order of claims, 1 kept back by its limit, 2 by a hold
  rank     smallint NOT NULL, -- 9 - priority
  start    bigint NOT NULL,
  deadline bigint NOT NULL,   -- 0: none, or it was claimed before
  told     bigint NOT NULL,   -- the deadline that is shown
  patience bigint NOT NULL,   -- from start to deadline
  latest   bigint NOT NULL,   -- merging moves start no further; 0: not bounded
  started  bigint NOT NULL DEFAULT 0,
  lane     int NOT NULL,
  ckey     int NOT NULL,      -- the bound when it is limited, else 0
  asks     int NOT NULL DEFAULT 1,
  lease    int NOT NULL DEFAULT 0,
  attempt  int NOT NULL DEFAULT 0,
  hold     bigint NOT NULL DEFAULT 0,
  merge    uuid,              -- NULL once it was claimed
  alike    uuid,
  cancel   text,              -- who asked to end it while it ran
  reason   text               -- why it waits again
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX waiting_order ON waiting (rank, start, run_id) WHERE phase = 0;
CREATE INDEX waiting_key ON waiting (ckey, rank, start, run_id) WHERE ckey > 0;
CREATE INDEX waiting_kept ON waiting (ckey, rank, start, run_id) WHERE phase = 1;
CREATE INDEX waiting_hold ON waiting (hold, rank, start, run_id) WHERE phase = 2;
CREATE INDEX waiting_deadline ON waiting (deadline, run_id) WHERE deadline > 0;
CREATE INDEX waiting_alike ON waiting (alike) WHERE alike IS NOT NULL;
CREATE UNIQUE INDEX waiting_merge ON waiting (merge) WHERE merge IS NOT NULL;

CREATE TABLE running (
  run_id    bigint PRIMARY KEY,
  lease     int NOT NULL,
  attempt   int NOT NULL,
  rank      smallint NOT NULL,
  start     bigint NOT NULL,
  told      bigint NOT NULL,
  started   bigint NOT NULL,
  lease_end bigint NOT NULL, -- by the store's clock
  lane      int NOT NULL,
  ckey      int NOT NULL,
  asks      int NOT NULL,
  alike     uuid,
  runner    text,
  handle    text,
  cancel    text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX running_key ON running (ckey) WHERE ckey > 0;
CREATE INDEX running_alike ON running (alike) WHERE alike IS NOT NULL;

-- Asks that joined a run; ask 0 is in run.
CREATE TABLE ask (
  run_id    bigint NOT NULL,
  n         int NOT NULL,
  withdrawn boolean NOT NULL DEFAULT false,
  principal text NOT NULL,
  session   text,
  server    text,
  ask       bytea NOT NULL,
  PRIMARY KEY (run_id, n)
);
CREATE INDEX ask_principal ON ask (principal, run_id);

CREATE TABLE key (
  key      uuid PRIMARY KEY,
  run_id   bigint NOT NULL,                -- 0: it made no run
  at       bigint NOT NULL,
  rejected boolean NOT NULL DEFAULT false, -- the run was there already
  answer   bytea                           -- of what made no run, JSON
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);

-- Attempts after which the run went on; the last one is in outcome.
CREATE TABLE attempt (
  run_id      bigint NOT NULL,
  n           int NOT NULL,
  how         smallint NOT NULL,
  exit_status int,
  started     bigint NOT NULL,
  ended       bigint NOT NULL,
  runner      text,
  reason      text,
  PRIMARY KEY (run_id, n)
);

CREATE TABLE output (
  run_id  bigint NOT NULL,
  attempt int NOT NULL,
  seq     bigint NOT NULL,
  channel smallint NOT NULL,
  place   bigint NOT NULL,
  at      bigint NOT NULL,
  data    bytea NOT NULL,
  PRIMARY KEY (run_id, attempt, seq)
);
ALTER TABLE output ALTER data SET STORAGE EXTERNAL; -- compressing takes longer than writing

-- How many bytes of output ended runs have, in parts, so that finishing runs
-- seldom waits for its turn.
CREATE TABLE output_size (
  slot  smallint PRIMARY KEY,
  bytes bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO output_size SELECT n, 0 FROM generate_series(0, 15) n;

CREATE TABLE report (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id      bigint NOT NULL,
  ask_n       int NOT NULL,                -- -1: in ask
  attempt     int NOT NULL,
  kind        smallint NOT NULL,
  state       smallint NOT NULL DEFAULT 0, -- 0 pending, 1 unread, 2 delivered, 3 given up
  tries       int NOT NULL DEFAULT 0,
  created     bigint NOT NULL,
  due         bigint NOT NULL,
  taken_until bigint NOT NULL DEFAULT 0,
  settled     bigint NOT NULL DEFAULT 0,
  principal   text NOT NULL,
  session     text,
  server      text,
  taken_by    text,
  ref         text,
  error       text,
  ask         bytea
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX report_run ON report (run_id);
CREATE INDEX report_due ON report (due, id) WHERE state = 0;
CREATE INDEX report_session ON report (session, id) WHERE session IS NOT NULL AND state < 2;
CREATE INDEX report_unread ON report (principal, id) WHERE state = 1;

CREATE TABLE hold (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind     text NOT NULL,
  service  text NOT NULL,
  job      text NOT NULL,
  args     bytea,
  since    bigint NOT NULL,
  until    bigint NOT NULL, -- 0: until it is ended
  by       text NOT NULL,
  at       bigint NOT NULL,
  ended    bigint NOT NULL DEFAULT 0,
  ended_by text NOT NULL DEFAULT ''
);
CREATE INDEX hold_live ON hold (until) WHERE ended = 0;

-- Roles and servers live until a time by the store's clock.
CREATE TABLE server (name text PRIMARY KEY, until bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE role (name text PRIMARY KEY, server text NOT NULL, until bigint NOT NULL) WITH (fillfactor = 50);
-- Which life of the database this is. An unlogged table is empty after a crash,
-- and in a copy that takes over: numbers of transactions from before mean
-- nothing then, since they may have been given out again.
CREATE UNLOGGED TABLE life (one boolean PRIMARY KEY DEFAULT true CHECK (one), name text NOT NULL);
CREATE TABLE activation (one boolean PRIMARY KEY DEFAULT true CHECK (one), digest text NOT NULL, server text NOT NULL, at bigint NOT NULL);

-- +goose Down
SELECT 1;
