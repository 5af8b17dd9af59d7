CREATE TABLE vehicles (
    id         integer PRIMARY KEY,
    plate      text NOT NULL UNIQUE,
    category   text NOT NULL CHECK (category IN ('compact', 'estate', 'van')),
    daily_rate numeric(10, 2) NOT NULL CHECK (daily_rate > 0),
    added_at   timestamptz NOT NULL
);

CREATE TABLE reservations (
    id             uuid PRIMARY KEY,
    vehicle_id     integer REFERENCES vehicles,  -- null until a car is assigned
    customer_name  text,
    customer_email text NOT NULL,
    pickup_on      date NOT NULL,
    return_on      date NOT NULL,
    status         text NOT NULL CHECK (status IN ('draft', 'confirmed', 'cancelled', 'completed')),
    total          numeric(10, 2) NOT NULL CHECK (total > 0),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CHECK (return_on > pickup_on)
);

CREATE TABLE payments (
    id             uuid PRIMARY KEY,
    reservation_id uuid NOT NULL REFERENCES reservations,
    amount         numeric(10, 2) NOT NULL CHECK (amount > 0),
    currency       text NOT NULL DEFAULT 'USD',
    captured_at    timestamptz NOT NULL
);

CREATE INDEX reservations_by_creation ON reservations (created_at);
CREATE INDEX payments_by_reservation ON payments (reservation_id);

INSERT INTO vehicles (id, plate, category, daily_rate, added_at)
SELECT n, 'PKT-' || lpad(n::text, 4, '0'),
       (ARRAY['compact', 'estate', 'van'])[1 + n % 3],
       39 + 10 * (n % 3),
       timestamptz '2025-01-01 00:00:00+00'
FROM generate_series(1, 200) AS n;
