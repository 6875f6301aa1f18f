-- Since when the cluster has answered every try with a no that an apiserver also says while it starts. It is believed only
-- when it lasts, whoever tries and however often processes restart meanwhile.
ALTER TABLE facteur.runs ADD COLUMN refused_since timestamptz;
