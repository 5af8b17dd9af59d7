CREATE TABLE orders (
    id CHAR(36) PRIMARY KEY,
    item VARCHAR(80) NOT NULL,
    pieces INT NOT NULL CHECK (pieces > 0),
    note JSON,
    placed_at DATETIME(6) NOT NULL
);
