CREATE FUNCTION raw_body() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    -- kept; all of it
    RETURN 1;
END
$$;
INSERT INTO log (what) VALUES ('after the body');
