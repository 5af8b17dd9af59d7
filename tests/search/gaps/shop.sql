CREATE TABLE orders (
    id        uuid PRIMARY KEY,
    amount    numeric(10, 2) NOT NULL CHECK (amount > 0),
    placed_at timestamptz NOT NULL
);
