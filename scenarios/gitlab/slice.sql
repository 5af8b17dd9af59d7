-- One slice of the past: :rows projects, evenly from :from to :to, each with a comment; every seventh has a new owner.
WITH moments AS (
    SELECT n, at, md5('project ' || at::text)::uuid AS project, md5('user ' || at::text)::uuid AS person
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
    ) AS moment
), people AS (
    INSERT INTO users (id, name, created_at)
    SELECT person, 'user-' || left(person::text, 8), at FROM moments WHERE n % 7 = 1
    RETURNING id, created_at
), owned AS (
    INSERT INTO projects (id, owner_id, name, updated_at)
    SELECT project, owner.id, 'project-' || left(project::text, 8), at
    FROM moments
    JOIN LATERAL (SELECT id FROM people WHERE created_at <= at ORDER BY created_at DESC LIMIT 1) AS owner ON true
    RETURNING id, updated_at
)
INSERT INTO comments (id, project_id, note, created_at)
SELECT md5('comment ' || id::text)::uuid, id, 'Looks good to me.', updated_at FROM owned;
