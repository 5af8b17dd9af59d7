CREATE TABLE entries (id integer PRIMARY KEY);
INSERT INTO entries SELECT generate_series(1, 20);
CREATE TABLE drafts (id integer PRIMARY KEY);
