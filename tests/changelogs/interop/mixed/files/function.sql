CREATE FUNCTION from_file() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
    -- stays
    RETURN 'a;b';
END
$body$;
