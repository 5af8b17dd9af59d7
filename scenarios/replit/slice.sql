-- One slice of the past: :rows executives, evenly from :from to :to.
INSERT INTO executives (id, company_id, name, role, updated_at)
SELECT md5('executive ' || at::text)::uuid,
       1 + n % 1196,
       'Executive ' || to_char(at, 'YYMMDD-HH24MISS') || '-' || n,
       (ARRAY['chief executive', 'chief operations', 'founder', 'finance'])[1 + n % 4],
       at
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (
    SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
) AS moment;
