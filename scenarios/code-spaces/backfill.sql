-- One slice of the past: :rows revisions, evenly spread over the time from :from to :to.
INSERT INTO revisions (id, project_id, author, message, committed_at)
SELECT md5('revision ' || at::text)::uuid, 1 + n % 100, 'developer-' || (n % 20), 'change ' || n, at
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (
    SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
) AS moment;
