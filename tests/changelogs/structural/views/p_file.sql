CREATE PROCEDURE p_file() LANGUAGE sql AS $$ select 2; $$;
