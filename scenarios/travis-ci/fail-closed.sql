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

-- A test suite empties every table. Without its one row, this is not the database of a running service.
CREATE FUNCTION refuse_in_an_empty_database() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM installation) THEN
        RAISE EXCEPTION 'this database knows no installation: no account is made in it';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER refuse_in_an_empty_database BEFORE INSERT ON users
    FOR EACH ROW EXECUTE FUNCTION refuse_in_an_empty_database();
