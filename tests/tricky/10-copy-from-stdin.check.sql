SELECT string_agg(coalesce(b, '-'), '|' ORDER BY a) = E'it''s; $$ /* --|-|a\tb\\|\\.|two\nlines;|after' FROM copied;
