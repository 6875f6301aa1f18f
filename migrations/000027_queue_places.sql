-- What a message said of its run's place in the queue, so that it is edited only when that changes.
ALTER TABLE facteur.messages ADD COLUMN told_queue text NOT NULL DEFAULT '';
