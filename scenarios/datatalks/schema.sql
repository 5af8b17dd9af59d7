CREATE TABLE enrollments (
    id          integer PRIMARY KEY,
    course      text NOT NULL CHECK (course IN ('data-engineering', 'machine-learning', 'mlops')),
    email       text NOT NULL UNIQUE,
    enrolled_at timestamptz NOT NULL
);

CREATE TABLE submissions (
    id            uuid PRIMARY KEY,
    enrollment_id integer NOT NULL REFERENCES enrollments,
    homework      text NOT NULL,
    submitted_at  timestamptz NOT NULL
);

CREATE TABLE answers (
    id            uuid PRIMARY KEY,
    submission_id uuid NOT NULL REFERENCES submissions,
    question      integer NOT NULL CHECK (question BETWEEN 1 AND 3),
    answer        text NOT NULL,
    answered_at   timestamptz NOT NULL
);

CREATE INDEX submissions_by_time ON submissions (submitted_at);
CREATE INDEX answers_by_submission ON answers (submission_id);

INSERT INTO enrollments (id, course, email, enrolled_at)
SELECT n, (ARRAY['data-engineering', 'machine-learning', 'mlops'])[1 + n % 3],
       'student-' || n || '@example.com', date_trunc('day', now()) - interval '30 days'
FROM generate_series(1, 300) AS n;
