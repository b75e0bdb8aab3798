-- The twin of the column that tells a promoted server from the one before: a file has no timeline.
ALTER TABLE leader_epoch ADD COLUMN timeline TEXT;
