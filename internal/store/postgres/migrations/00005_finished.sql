-- +goose Up
-- What ended in a span of time is counted: outcomes lie in the order in which
-- they came, so that next to nothing is kept of where.
CREATE INDEX outcome_finished ON outcome USING brin (finished) WITH (pages_per_range = 32, autosummarize = on);

-- What came of a run: few repeat or follow another one.
CREATE INDEX run_retry ON run (retry_of, id) WHERE retry_of > 0;
CREATE INDEX run_after ON run (after, id) WHERE after > 0;

-- +goose Down
SELECT 1;
