-- Whether the step belongs to an exit handler, which a stop lets run: it waits although its run is being canceled.
ALTER TABLE facteur.approvals ADD COLUMN on_exit boolean NOT NULL DEFAULT false;
