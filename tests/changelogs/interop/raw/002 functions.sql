-- Sent as it is: comments stay, and nothing in a body ends a statement.
CREATE OR REPLACE FUNCTION square(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $fn$
DECLARE
    result int; -- declared; here
BEGIN
    /* a block; comment */
    IF n IS NULL THEN RETURN NULL; END IF;
    result := n * n;
    RETURN result;
END;
$fn$;

CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS '
BEGIN
    NEW.what := coalesce(NEW.what, ''nothing; at all'');
    RETURN NEW;
END';

CREATE TRIGGER fill BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION fill();
DO $$ BEGIN PERFORM square(2); INSERT INTO log DEFAULT VALUES; END $$;
