\set ON_ERROR_STOP on
\set who 'O''Hara; \\'
\set tab 'odd table'
\set n 41
\set more ':n + 1'
\echo making :"tab"
CREATE TABLE :"tab" (a int, b text, c text);
INSERT INTO :"tab" VALUES (:n, :'who', ':n'), (:more, $$:who$$, '1'::text);
INSERT INTO :"tab" SELECT ((ARRAY[7, 8, 9])[2:3])[1], 'is ' || :{?n}::text, :{?nobody}::text; \set n 1 \\ INSERT INTO :"tab" VALUES (:n);
\unset n
