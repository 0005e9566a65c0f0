SELECT c.reltuples = 250 AND (SELECT sum(b) = 250 FROM swept) FROM pg_class AS c WHERE c.oid = 'swept'::regclass;
