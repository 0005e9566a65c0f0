SELECT string_agg(what, ',' ORDER BY n) = 'one;x,)x' FROM things_log;
