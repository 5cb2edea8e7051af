-- +goose Up
-- What ended in a span of time is counted: outcomes lie in the order in which
-- they came, so that next to nothing is kept of where.
CREATE INDEX outcome_finished ON outcome USING brin (finished) WITH (pages_per_range = 32, autosummarize = on);

-- +goose Down
SELECT 1;
