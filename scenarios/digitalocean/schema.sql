CREATE TABLE machines (
    id         uuid PRIMARY KEY,
    region     text NOT NULL,
    state      text NOT NULL CHECK (state IN ('new', 'active', 'off')),
    updated_at timestamptz NOT NULL
);

CREATE TABLE events (
    id         uuid PRIMARY KEY,
    machine_id uuid NOT NULL REFERENCES machines,
    what       text NOT NULL,
    at         timestamptz NOT NULL
);
