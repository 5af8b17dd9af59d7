CREATE TABLE orders (
    id        uuid PRIMARY KEY,
    amount    numeric(10, 2) NOT NULL CHECK (amount > 0),
    placed_at timestamptz NOT NULL
);

-- An order of 13.13 is never answered in time: its COMMIT waits, so that nobody can say what became of it.
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(60);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.amount = 13.13) EXECUTE FUNCTION dawdle();
