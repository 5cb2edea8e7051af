-- +goose Up
-- The audit: only ever inserted. A row is a page: the records that one
-- transaction wrote (internal/store/trail). Its id is the number of the chain,
-- shifted, and that of its first record. `audit_key` has what it is found by.

CREATE TABLE audit_chain (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE audit (
  id   INTEGER PRIMARY KEY,
  at   INTEGER NOT NULL, -- of its latest record
  low  INTEGER,          -- it may have records of the runs from low to high
  high INTEGER,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX audit_run ON audit (low, high) WHERE low IS NOT NULL;

CREATE TABLE audit_key (
  key  TEXT NOT NULL,
  page INTEGER NOT NULL,
  PRIMARY KEY (key, page)
) STRICT, WITHOUT ROWID;

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
