-- Somebody came with a number that is another person's by now, and was let in as that person.
SELECT sign_ins.at, sign_ins.login AS who_came, users.login AS signed_in_as
FROM sign_ins JOIN users ON users.id = sign_ins.user_id
WHERE sign_ins.login <> users.login
ORDER BY sign_ins.at
