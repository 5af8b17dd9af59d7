-- A hole in the book: a full day in which nobody is on record as having booked.
SELECT earlier.created_at AS hole_begins, earlier.next_at AS hole_ends
FROM (
    SELECT created_at, lead(created_at, 1, now()) OVER (ORDER BY created_at) AS next_at
    FROM reservations
) AS earlier
WHERE earlier.next_at - earlier.created_at > interval '1 day'
