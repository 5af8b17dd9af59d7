-- Users are numbered. A visitor's cookie holds the number, and the service believes it.
CREATE TABLE users (
    id         bigserial PRIMARY KEY,
    login      text NOT NULL,
    created_at timestamptz NOT NULL
);

-- Who came with which number: what the visitor is called where they signed in, at another site.
CREATE TABLE sign_ins (
    id      uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    login   text NOT NULL,
    at      timestamptz NOT NULL
);

-- Which database this is; there is one row in every one that a service runs on.
CREATE TABLE installation (
    name  text PRIMARY KEY,
    since timestamptz NOT NULL
);
INSERT INTO installation VALUES ('production', '2011-02-01 12:00:00+00');
