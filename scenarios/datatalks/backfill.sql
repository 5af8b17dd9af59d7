-- One slice of the past: :rows submissions, evenly spread over the time from :from to :to, each with its answers.
WITH handed_in AS (
    INSERT INTO submissions (id, enrollment_id, homework, submitted_at)
    SELECT md5('submission ' || at::text)::uuid, 1 + n % 300, 'homework-' || (1 + n % 7), at
    FROM generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (
        SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
    ) AS moment
    RETURNING id, submitted_at
)
INSERT INTO answers (id, submission_id, question, answer, answered_at)
SELECT md5('answer ' || question || ' ' || id::text)::uuid, id, question,
       'answer to question ' || question, submitted_at
FROM handed_in
CROSS JOIN generate_series(1, 3) AS question;
