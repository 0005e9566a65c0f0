INSERT INTO log (what)
  VALUES ('crlf
end');

INSERT INTO numbers (n) SELECT square(g) FROM generate_series(1, 3) g;
