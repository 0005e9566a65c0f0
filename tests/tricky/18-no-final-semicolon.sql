CREATE TABLE unended (a int);
INSERT INTO unended VALUES (1) -- the last statement; ends with the file