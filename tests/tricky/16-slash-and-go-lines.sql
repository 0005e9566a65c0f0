CREATE TABLE divided AS SELECT 12
/
3 AS
go
, 1 AS
"GO"
;
CREATE FUNCTION halves(n int) RETURNS int LANGUAGE sql AS $$
SELECT n
/
2
$$;
INSERT INTO divided
SELECT
go
/
2, halves(4) FROM divided;
