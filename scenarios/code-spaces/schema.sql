CREATE TABLE projects (
    id         integer PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);

CREATE TABLE revisions (
    id           uuid PRIMARY KEY,
    project_id   integer NOT NULL REFERENCES projects,
    author       text NOT NULL,
    message      text NOT NULL,
    committed_at timestamptz NOT NULL
);

CREATE INDEX revisions_by_time ON revisions (committed_at);

INSERT INTO projects (id, name, created_at)
SELECT n, 'project-' || n, date_trunc('day', now()) - interval '30 days'
FROM generate_series(1, 100) AS n;
