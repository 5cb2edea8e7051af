-- +goose Up
-- What ended in a span of time, and how, is counted without looking at the rows.
CREATE INDEX ended_finished ON ended (finished, state, verdict, started);

-- What came of a run: few repeat or follow another one.
CREATE INDEX run_retry ON run (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX run_after ON run (after) WHERE after IS NOT NULL;

-- +goose Down
SELECT 1;
