CREATE TABLE escapes (n int, v text);
INSERT INTO escapes VALUES (1, E'it\'s; \\'), (2, e'\\\';'), (3, E'\x41\u00e9''');
INSERT INTO escapes VALUES (4, U&'d\0061t\+000061;\\'), (5, U&'!0041;' UESCAPE '!');
INSERT INTO escapes VALUES (6, B'101'::text || X'1F'::text), (7, N'n;');
CREATE TABLE U&"t\0061b;le" ("c" int);
