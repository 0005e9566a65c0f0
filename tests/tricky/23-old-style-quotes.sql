CREATE FUNCTION old_style(text) RETURNS text LANGUAGE plpgsql AS '
DECLARE
  r text;
BEGIN
  -- a comment with ''quotes'';
  r := ''a;'' || $1 || '''''''';
  RETURN r;
END;
';
CREATE TABLE old_rows AS SELECT old_style('b') AS v;
