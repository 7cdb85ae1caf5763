-- min_reader: 2
-- Each commit of a run changes its row, and all of it is read and written with that: a large request, too.
CREATE TABLE request (
  number INTEGER PRIMARY KEY REFERENCES run (number) ON DELETE CASCADE,
  body BLOB NOT NULL
);
INSERT INTO request (number, body) SELECT number, request FROM run;
ALTER TABLE run DROP COLUMN request;
