-- The Go service recorded the delivery, and may have created its workflow under a name that it kept to itself: the
-- workflow is looked for before one is created.
ALTER TABLE facteur.runs ADD COLUMN taken_over boolean NOT NULL DEFAULT false;
