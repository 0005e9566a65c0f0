SELECT string_agg(word, ',' ORDER BY n) = 'bad,good,great' AND plus(1, 2) = 3 FROM steps;
