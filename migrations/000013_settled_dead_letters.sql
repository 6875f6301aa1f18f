-- A dead letter that was replayed or dropped leaves the list, and its content goes; the row stays for a while, so that a
-- topic that is read again does not bring it back.
ALTER TABLE facteur.dead_letters
  ADD COLUMN settled_at timestamptz,
  ADD COLUMN outcome text NOT NULL DEFAULT '' CHECK (outcome IN ('', 'replayed', 'dropped'));

-- What retention looks for.
CREATE INDEX dead_letters_settled ON facteur.dead_letters (settled_at) WHERE settled_at IS NOT NULL;
