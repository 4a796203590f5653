;
ALTER TABLE record ADD PRIMARY KEY (topic, seq);
CREATE INDEX record_history ON record (topic, peer, seq) WHERE peer <> '';
CREATE UNIQUE INDEX record_message ON record (topic, msg) WHERE msg <> '';
