-- A record of a topic may be read again: after a crash, after a rebalance, because somebody rewound the group. Its dead
-- letter is kept once all the same. Doors that have no such place leave it empty.
ALTER TABLE facteur.dead_letters ADD COLUMN source text NOT NULL DEFAULT '';

CREATE UNIQUE INDEX dead_letters_source ON facteur.dead_letters (source) WHERE source <> '';
