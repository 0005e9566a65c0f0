-- Dollar quotes with tags, one in another, and one that only looks like an end.
CREATE FUNCTION outer_one() RETURNS text LANGUAGE plpgsql AS $outer$
DECLARE
  inner_sql text := $inner$SELECT $$a;b$$ || '$outer' || $q$;$q$$inner$;
  result text;
BEGIN
  EXECUTE inner_sql INTO result;
  RETURN result || $x$ $y$ $$ $x$;
END;
$outer$;
CREATE TABLE dollars AS SELECT outer_one() AS v, $é$;$é$ AS tag, $a1_$$a1$;$a1_$ AS like_an_end;
