INSERT INTO orders (id, amount, placed_at)
SELECT md5(at::text)::uuid, 10 + n % 90, at
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (
    SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
) AS moment;
