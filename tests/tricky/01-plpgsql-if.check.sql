SELECT string_agg(sign, ',' ORDER BY n) = 'minus,minus one,zero,plus' FROM signs;
