-- The run that a replayed dead letter became. No foreign key: a run may be archived before the letter is deleted.
ALTER TABLE facteur.dead_letters ADD COLUMN run_id uuid;
