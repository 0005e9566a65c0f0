CREATE TABLE busy (a int, b int);
INSERT INTO busy SELECT n, n % 7 FROM generate_series(1, 1000) AS n;
CREATE INDEX CONCURRENTLY busy_a ON busy (a);
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "busy B" ON ONLY public.busy (b, a); -- CONCURRENTLY;
