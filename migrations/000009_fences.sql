-- `claims` grows whenever a process takes the run. What a process does with a run it first proves by this number, so that
-- one who comes late decides nothing about a run that is another's by now.
-- `withdrawn`: its sender was told that it was not recorded, so that it counts as never asked for.
ALTER TABLE facteur.runs
  ADD COLUMN claims integer NOT NULL DEFAULT 0,
  ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
