-- +goose Up
-- What a run needed, and who said what of it: JSON; NULL: it needed no approval.
ALTER TABLE run ADD COLUMN approval bytea;

-- What waits for an approval. Its row in waiting has phase 3, which is in no
-- order of claims, so that what is claimed is found as before.
CREATE TABLE held (
  run_id  bigint PRIMARY KEY,
  expires bigint NOT NULL -- 0: never
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX held_expires ON held (expires, run_id) WHERE expires > 0;

-- +goose Down
SELECT 1;
