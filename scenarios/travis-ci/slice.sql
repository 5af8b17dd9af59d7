-- One slice of the past: :rows people who sign up, evenly from :from to :to, each signed in once.
WITH signed_up AS (
    INSERT INTO users (login, created_at)
    SELECT 'person-' || md5(at::text), at
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
    ) AS moment
    ORDER BY n
    RETURNING id, login, created_at
)
INSERT INTO sign_ins (id, user_id, login, at)
SELECT md5('sign-in ' || id::text)::uuid, id, login, created_at FROM signed_up;
