-- min_reader: 1
CREATE TABLE definition (
  hash text PRIMARY KEY,
  body bytea NOT NULL
);

CREATE TABLE run (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workflow text NOT NULL,
  version text NOT NULL,
  definition text NOT NULL REFERENCES definition (hash),
  status text NOT NULL,
  created double precision NOT NULL,
  started double precision,
  ended double precision,
  recoveries integer NOT NULL,
  cancel text,
  error text,
  labels text,
  key text,
  most integer,
  request bytea NOT NULL,
  request_hash text NOT NULL,
  owner text,
  epoch bigint NOT NULL,
  lease_until timestamptz NOT NULL,
  last_seq bigint NOT NULL,
  UNIQUE (workflow, key)
) WITH (fillfactor = 70);
CREATE INDEX run_open ON run (number) WHERE status IN ('queued', 'running', 'suspended');
CREATE INDEX run_limited ON run (workflow) WHERE status IN ('queued', 'running', 'suspended');
CREATE INDEX run_ended ON run (ended) WHERE ended IS NOT NULL;

CREATE TABLE blob (
  hash text PRIMARY KEY,
  body bytea NOT NULL
);

CREATE TABLE event (
  run text NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  epoch bigint NOT NULL,
  kind text NOT NULL,
  at double precision NOT NULL,
  path text NOT NULL,
  gen integer NOT NULL,
  data text NOT NULL,
  value bytea,
  blob text REFERENCES blob (hash),
  delta bytea,
  PRIMARY KEY (run, seq)
);
CREATE INDEX event_blob ON event (blob) WHERE blob IS NOT NULL;

CREATE TABLE attempt (
  run text NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path text NOT NULL,
  gen integer NOT NULL,
  attempt integer NOT NULL,
  epoch bigint NOT NULL,
  state text NOT NULL,
  started double precision NOT NULL,
  ended double precision,
  error text,
  PRIMARY KEY (run, path, gen, attempt)
);

CREATE TABLE result (
  run text NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path text NOT NULL,
  gen integer NOT NULL,
  name text NOT NULL,
  node text NOT NULL,
  status text NOT NULL,
  reason text,
  attempts integer NOT NULL,
  started double precision,
  ended double precision NOT NULL,
  error text,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (run, path, gen)
);

CREATE TABLE timer (
  run text NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path text NOT NULL,
  gen integer NOT NULL,
  kind text NOT NULL,
  due double precision NOT NULL,
  PRIMARY KEY (run, path)
);

CREATE TABLE state (
  space text NOT NULL,
  key text NOT NULL,
  value bytea NOT NULL,
  expires timestamptz,
  PRIMARY KEY (space, key)
);
