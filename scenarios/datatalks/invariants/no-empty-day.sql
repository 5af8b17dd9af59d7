-- A hole in the course: more than the day and an hour that may be lost, without any homework on record.
SELECT earlier.submitted_at AS hole_begins, earlier.next_at AS hole_ends
FROM (
    SELECT submitted_at, lead(submitted_at, 1, now()) OVER (ORDER BY submitted_at) AS next_at
    FROM submissions
) AS earlier
WHERE earlier.next_at - earlier.submitted_at > interval '25 hours'
UNION ALL
SELECT NULL, NULL WHERE NOT EXISTS (SELECT FROM submissions)
