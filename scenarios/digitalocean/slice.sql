-- One slice of the past: :rows machines, evenly from :from to :to, each with the event of its making.
WITH made AS (
    INSERT INTO machines (id, region, state, updated_at)
    SELECT md5('machine ' || at::text)::uuid, (ARRAY['nyc', 'ams', 'sgp'])[1 + n % 3], 'active', at
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
    ) AS moment
    RETURNING id, updated_at
)
INSERT INTO events (id, machine_id, what, at)
SELECT md5('event ' || id::text)::uuid, id, 'create', updated_at FROM made;
