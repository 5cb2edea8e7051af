-- +goose Up
-- What a run needed, and who said what of it: JSON; NULL: it needed no approval.
ALTER TABLE run ADD COLUMN approval BLOB;

-- Those of the queue that need an approval. It is empty where nobody uses
-- approvals, and short where they do, so that the queue itself stays as it was.
CREATE TABLE held (
  run_id  INTEGER PRIMARY KEY,
  expires INTEGER NOT NULL,            -- 0: never
  given   INTEGER NOT NULL DEFAULT 0   -- 1: it was given, and the run waits or runs
) STRICT;

-- +goose Down
SELECT 1;
