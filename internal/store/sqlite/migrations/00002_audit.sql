-- +goose Up
-- The audit: only ever inserted. An id is the number of the chain, shifted,
-- and the record's number in it from 1 (audit.go), so a chain lies together
-- and the record before another one is the one with the id before. Nothing is
-- in it twice: what a list is narrowed by has columns, the rest is in `rest`.

CREATE TABLE audit_chain (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE audit (
  id        INTEGER PRIMARY KEY,
  at        INTEGER NOT NULL,
  allowed   INTEGER NOT NULL,
  principal INTEGER,              -- NULL: none, as with the next two
  job       INTEGER,
  run       INTEGER,
  rest      BLOB NOT NULL,        -- bellhop.PackedAudit.Rest
  hash      BLOB NOT NULL
) STRICT;
CREATE INDEX audit_principal ON audit (principal) WHERE principal IS NOT NULL;
CREATE INDEX audit_job ON audit (job) WHERE job IS NOT NULL;
CREATE INDEX audit_run ON audit (run) WHERE run IS NOT NULL;
CREATE INDEX audit_refused ON audit (allowed) WHERE allowed = 0;

CREATE TABLE value (
  id        INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  key       TEXT NOT NULL,
  version   INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  value     BLOB NOT NULL,
  UNIQUE (namespace, key)
) STRICT;
CREATE INDEX value_expires ON value (expires) WHERE expires != 0;

CREATE TABLE secret (
  owner   TEXT NOT NULL,
  name    TEXT NOT NULL,
  key_id  TEXT NOT NULL,
  sealed  BLOB NOT NULL,
  updated INTEGER NOT NULL,
  by      TEXT NOT NULL,
  PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 1;
