-- One slice of the past: :rows tickets, evenly from :from to :to, two of three of them closed.
INSERT INTO tickets (id, subject, open, edited_at)
SELECT md5('ticket ' || at::text)::uuid, 'Ticket ' || n, n % 3 = 0, at
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (
    SELECT (:from)::timestamptz + n * (((:to)::timestamptz - (:from)::timestamptz) / (:rows)) AS at
) AS moment;
