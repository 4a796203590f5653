ALTER TABLE record RENAME TO whole;
CREATE TABLE record (LIKE whole INCLUDING DEFAULTS) PARTITION BY RANGE (at);
DROP TABLE whole;
ALTER TABLE record ADD PRIMARY KEY (topic, seq, at);
CREATE INDEX record_history ON record (topic, peer, seq) WHERE peer <> '';
CREATE UNIQUE INDEX record_message ON record (topic, msg, at) WHERE msg <> '';
