-- A backslash before a quote is nothing special in a standard string.
CREATE TABLE paths (n int, path text);
INSERT INTO paths VALUES (1, 'C:\');
INSERT INTO paths VALUES (2, 'C:\temp\'), (3, '\''\;');
INSERT INTO paths VALUES (4, '\\');
