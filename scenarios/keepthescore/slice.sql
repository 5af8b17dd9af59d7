-- One slice of the past: :rows boards, evenly from :from to :to, each with one score.
WITH made AS (
    INSERT INTO boards (id, name, updated_at)
    SELECT md5('board ' || at::text)::uuid, 'Board ' || n, at
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
    ) AS moment
    RETURNING id, updated_at
)
INSERT INTO scores (id, board_id, player, points, at)
SELECT md5('score ' || id::text)::uuid, id, 'anonymous', 1, updated_at FROM made;
