-- +goose Up
-- The audit: only ever inserted. Of each server's life a chain; data is what a
-- record says (bellhop.PackedAudit), the columns before it what it is found by.
CREATE TABLE audit_chain (
  id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE audit (
  chain     int NOT NULL,
  seq       bigint NOT NULL,
  id        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  at        bigint NOT NULL,
  run       bigint NOT NULL, -- 0: none
  principal text COLLATE "C" NOT NULL,
  service   text COLLATE "C" NOT NULL,
  job       text COLLATE "C" NOT NULL,
  allowed   boolean NOT NULL,
  data      bytea NOT NULL,
  hash      bytea NOT NULL,
  PRIMARY KEY (chain, seq)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_principal ON audit (principal, id);
CREATE INDEX audit_service ON audit (service, id) WHERE service <> '';
CREATE INDEX audit_job ON audit (service, job, id) WHERE job <> '';
CREATE INDEX audit_run ON audit (run, id) WHERE run > 0;
CREATE INDEX audit_refused ON audit (id) WHERE NOT allowed;

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
