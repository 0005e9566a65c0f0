CREATE TABLE cases (n int PRIMARY KEY, word text);
DO $$
DECLARE
  i int;
BEGIN
  FOR i IN 1..3 LOOP
    CASE i
      WHEN 1 THEN INSERT INTO cases VALUES (i, 'one');
      WHEN 2 THEN INSERT INTO cases VALUES (i, CASE WHEN true THEN 'two;' END);
      ELSE INSERT INTO cases VALUES (i, 'many');
    END CASE;
  END LOOP;
END $$;
DO LANGUAGE plpgsql 'BEGIN INSERT INTO cases VALUES (4, ''old;''); END';
