CREATE TABLE companies (
    id       integer PRIMARY KEY,
    name     text NOT NULL UNIQUE,
    added_at timestamptz NOT NULL
);

CREATE TABLE executives (
    id         uuid PRIMARY KEY,
    company_id integer NOT NULL REFERENCES companies ON DELETE CASCADE,
    name       text NOT NULL,
    role       text NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX executives_by_company ON executives (company_id);

INSERT INTO companies (id, name, added_at)
SELECT n, 'Company ' || n, timestamptz '2025-07-01 00:00:00+00' FROM generate_series(1, 1196) AS n;
