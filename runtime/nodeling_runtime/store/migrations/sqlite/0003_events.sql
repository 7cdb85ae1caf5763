-- min_reader: 3
-- An event's id is its run's number and its own: those of the newest run stand at the end of the table, where a page
-- is filled before the next one is begun. Keyed by the run's id most commits moved rows between three pages.
CREATE TABLE event_by_number (
  id INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at REAL NOT NULL,
  path TEXT NOT NULL,
  gen INTEGER NOT NULL,
  data BLOB NOT NULL,
  value BLOB,
  blob TEXT REFERENCES blob (hash),
  delta BLOB
);
INSERT INTO event_by_number
  SELECT (run.number << 32) + seq, event.epoch, kind, at, path, gen, data, value, blob, delta
  FROM event JOIN run ON run.id = event.run ORDER BY run.number, seq;
DROP TABLE event;
ALTER TABLE event_by_number RENAME TO event;
CREATE INDEX event_blob ON event (blob) WHERE blob IS NOT NULL;
