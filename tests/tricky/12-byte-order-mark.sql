CREATE TABLE marked (a int);
INSERT INTO marked VALUES (1);
