-- A submission that lost an answer: the student gets a zero for it.
SELECT submissions.id, count(answers.id) AS answers
FROM submissions
LEFT JOIN answers ON answers.submission_id = submissions.id
GROUP BY submissions.id
HAVING count(answers.id) <> 3
