SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index WHERE indrelid = 'busy'::regclass;
