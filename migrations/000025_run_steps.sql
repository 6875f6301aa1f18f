-- What a run is at, and what came of it, as its message shows them.
ALTER TABLE facteur.runs ADD COLUMN step text NOT NULL DEFAULT '';
ALTER TABLE facteur.runs ADD COLUMN results jsonb NOT NULL DEFAULT '[]';
