-- min_reader: 1
CREATE TABLE definition (
  hash TEXT PRIMARY KEY,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  version TEXT NOT NULL,
  definition TEXT NOT NULL REFERENCES definition (hash),
  status TEXT NOT NULL,
  created REAL NOT NULL,
  started REAL,
  ended REAL,
  recoveries INTEGER NOT NULL,
  cancel TEXT,
  error TEXT,
  labels TEXT,
  key TEXT,
  most INTEGER,
  request BLOB NOT NULL,
  request_hash TEXT NOT NULL,
  owner TEXT,
  epoch INTEGER NOT NULL,
  lease_until REAL NOT NULL,
  last_seq INTEGER NOT NULL,
  UNIQUE (workflow, key)
);
CREATE INDEX run_open ON run (status, number) WHERE status IN ('queued', 'running', 'suspended');
CREATE INDEX run_ended ON run (ended) WHERE ended IS NOT NULL;

CREATE TABLE blob (
  hash TEXT PRIMARY KEY,
  body BLOB NOT NULL
);

CREATE TABLE event (
  run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at REAL NOT NULL,
  path TEXT NOT NULL,
  gen INTEGER NOT NULL,
  data BLOB NOT NULL,
  value BLOB,
  blob TEXT REFERENCES blob (hash),
  delta BLOB,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE INDEX event_blob ON event (blob) WHERE blob IS NOT NULL;

CREATE TABLE attempt (
  run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  gen INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  state TEXT NOT NULL,
  started REAL NOT NULL,
  ended REAL,
  error TEXT,
  PRIMARY KEY (run, path, gen, attempt)
) WITHOUT ROWID;

CREATE TABLE result (
  run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  gen INTEGER NOT NULL,
  name TEXT NOT NULL,
  node TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT,
  attempts INTEGER NOT NULL,
  started REAL,
  ended REAL NOT NULL,
  error TEXT,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (run, path, gen)
) WITHOUT ROWID;

CREATE TABLE timer (
  run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  gen INTEGER NOT NULL,
  kind TEXT NOT NULL,
  due REAL NOT NULL,
  PRIMARY KEY (run, path)
) WITHOUT ROWID;

CREATE TABLE state (
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  expires REAL,
  PRIMARY KEY (space, key)
) WITHOUT ROWID;
