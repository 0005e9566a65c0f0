CREATE TABLE made (name text);
DO $do$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['dyn_a', 'dyn b;'] LOOP
    EXECUTE format($sql$CREATE TABLE %I (a int); INSERT INTO %1$I VALUES (1); COMMENT ON TABLE %1$I IS 'it''s; %s'$sql$, t, t);
    EXECUTE 'INSERT INTO made VALUES (' || quote_literal(t) || ');';
  END LOOP;
EXCEPTION WHEN division_by_zero THEN
  RAISE NOTICE 'never; %', SQLERRM;
END
$do$;
