-- A text that brings its own transaction.
BEGIN;
CREATE TABLE owned (a int);
SAVEPOINT before;
INSERT INTO owned VALUES (1);
ROLLBACK TO before;
INSERT INTO owned VALUES (2);
COMMIT;
