-- A partition belongs to a series, and is judged against the history of that series only. Whoever
-- looks at the data tells the series (discovery writes it again where it differs); '' is the series
-- of a dataset whose whole key moves in time.
ALTER TABLE ledger ADD COLUMN series TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_in_series ON ledger (dataset_id, series, ord, partition);
