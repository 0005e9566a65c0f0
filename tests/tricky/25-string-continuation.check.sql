SELECT string_agg(v, '|' ORDER BY n) = 'one two; three|ab|x''y;' FROM parts;
