CREATE TABLE users (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE projects (
    id         uuid PRIMARY KEY,
    owner_id   uuid NOT NULL REFERENCES users,
    name       text NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE comments (
    id         uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects,
    note       text NOT NULL,
    created_at timestamptz NOT NULL
);
