-- The next number that the sequence gives is one that a user or a sign-in has already.
SELECT sequence.last_value AS given_out, known.newest AS in_use
FROM users_id_seq AS sequence
CROSS JOIN (SELECT max(id) AS newest FROM (SELECT id FROM users UNION ALL SELECT user_id FROM sign_ins) AS ids) AS known
WHERE sequence.last_value < known.newest
