CREATE TABLE reservations (id uuid PRIMARY KEY, total numeric, updated_at timestamptz);
