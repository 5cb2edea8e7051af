-- +goose Up
-- What ended in a span of time, and how, is counted without looking at the rows.
CREATE INDEX ended_finished ON ended (finished, state, verdict, started);

-- +goose Down
SELECT 1;
