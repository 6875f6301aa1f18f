-- Whom to tell, once, that a run has ended: `author`, or `roles:` and their ids; and messages that show no progress.
ALTER TABLE facteur.messages ADD COLUMN ping text NOT NULL DEFAULT '';
ALTER TABLE facteur.messages ADD COLUMN pinged_at timestamptz;
ALTER TABLE facteur.messages ADD COLUMN quiet boolean NOT NULL DEFAULT false;
