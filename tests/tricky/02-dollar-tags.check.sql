SELECT v = 'a;b$outer; $y$ $$ ' AND tag = ';' AND like_an_end = '$a1$;' FROM dollars;
