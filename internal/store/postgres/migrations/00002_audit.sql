-- +goose Up
-- The audit: only ever inserted. A row is a page: the records that one
-- transaction wrote (internal/store/trail). Its id is the number of the chain,
-- shifted, and that of its first record. audit_key has what it is found by.

CREATE TABLE audit_chain (
  id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE
);

CREATE TABLE audit (
  id   bigint PRIMARY KEY,
  at   bigint NOT NULL, -- of its latest record
  low  bigint NOT NULL, -- it may have records of the runs from low to high
  high bigint NOT NULL,
  data bytea NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_run ON audit (low, high) WHERE low > 0;

CREATE TABLE audit_key (
  key  text COLLATE "C" NOT NULL,
  at   bigint NOT NULL, -- as in audit
  page bigint NOT NULL,
  PRIMARY KEY (key, at, page)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);

-- The numbers of versions are never used again, so that a value that was
-- removed and put anew is not taken for the former one.
CREATE SEQUENCE value_version;

CREATE TABLE value (
  namespace bytea NOT NULL,
  key       bytea NOT NULL,
  version   bigint NOT NULL,
  expires   bigint NOT NULL,
  value     bytea NOT NULL,
  PRIMARY KEY (namespace, key)
);
CREATE INDEX value_expires ON value (expires) WHERE expires > 0;

CREATE TABLE secret (
  owner   text COLLATE "C" NOT NULL,
  name    text COLLATE "C" NOT NULL,
  key_id  text NOT NULL,
  sealed  bytea NOT NULL,
  updated bigint NOT NULL,
  by      text NOT NULL,
  PRIMARY KEY (owner, name)
);

-- +goose Down
SELECT 1;
