SELECT string_agg(b, '|' ORDER BY a) = ';|;|'';|d!' FROM line;
