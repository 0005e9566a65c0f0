-- IF ... END IF inside of a body: an END that ends no statement.
CREATE FUNCTION sign_of(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF n > 0 THEN
    RETURN 'plus';
  ELSIF n = 0 THEN
    RETURN 'zero';
  ELSE
    IF n = -1 THEN RETURN 'minus one'; END IF;
    RETURN 'minus';
  END IF;
END;
$$;
CREATE TABLE signs AS SELECT n, sign_of(n) AS sign FROM generate_series(-2, 1) AS n;
