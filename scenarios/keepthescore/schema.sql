CREATE TABLE boards (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE scores (
    id       uuid PRIMARY KEY,
    board_id uuid NOT NULL REFERENCES boards,
    player   text NOT NULL,
    points   integer NOT NULL,
    at       timestamptz NOT NULL
);
