-- One slice of the past: :rows reservations, evenly spread over the time from :from to :to, each paid in full.
WITH booked AS (
    INSERT INTO reservations
        (id, vehicle_id, customer_name, customer_email, pickup_on, return_on, status, total, created_at, updated_at)
    SELECT md5('reservation ' || at::text)::uuid,
           v.id,
           'Customer ' || n,
           'customer-' || n || '@example.com',
           at::date + 3,
           at::date + 3 + days,
           CASE WHEN at::date + 3 + days < (:now)::timestamptz::date THEN 'completed' ELSE 'confirmed' END,
           v.daily_rate * days,
           at,
           at
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at,
               1 + n % 7 AS days
    ) AS moment
    JOIN vehicles AS v ON v.id = 1 + n % 200
    RETURNING id, total, created_at
)
INSERT INTO payments (id, reservation_id, amount, captured_at)
SELECT md5('payment ' || id::text)::uuid, id, total, created_at
FROM booked;
