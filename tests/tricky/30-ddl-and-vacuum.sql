CREATE TABLE swept (a int);
INSERT INTO swept SELECT generate_series(1, 500);
DELETE FROM swept WHERE a > 250;
VACUUM (ANALYZE) swept;
ALTER TABLE swept ADD COLUMN b int DEFAULT 1;
