-- +goose Up
-- What waits is found by its job and by who asked first, however much waits.
-- Both are as in run, where they never change.
ALTER TABLE waiting ADD COLUMN job int, ADD COLUMN principal text;
UPDATE waiting w SET job = r.job, principal = r.principal FROM run r WHERE r.id = w.run_id;
ALTER TABLE waiting ALTER COLUMN job SET NOT NULL, ALTER COLUMN principal SET NOT NULL;
CREATE INDEX waiting_job ON waiting (job, run_id);
CREATE INDEX waiting_principal ON waiting (principal, run_id);

-- +goose Down
SELECT 1;
