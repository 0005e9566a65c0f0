CREATE TABLE parts (n int, v text);
INSERT INTO parts VALUES (1, 'one'
  ' two;'

	' three'), (2, 'a' -- a comment; between
 'b');
INSERT INTO parts VALUES (3, E'x\''
'y;');
