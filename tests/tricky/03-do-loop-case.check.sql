SELECT string_agg(word, ',' ORDER BY n) = 'one,two;,many,old;' FROM cases;
