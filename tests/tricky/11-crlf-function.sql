CREATE FUNCTION crlf(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  -- a comment; of its own
  IF n > 0 THEN
    RETURN 'a'
      'b';
  END IF;
  RETURN NULL;
END;
$$;

CREATE TABLE crlf_rows (a text);
COPY crlf_rows FROM stdin;
x
y
\.
