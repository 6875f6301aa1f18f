-- What was asked, in one line: lists and messages show it, also once the plan is archived.
ALTER TABLE facteur.runs ADD COLUMN title text NOT NULL DEFAULT '';
