CREATE TABLE markers (n int, v text);
INSERT INTO markers VALUES (1, '-- no comment'), (2, '/* none'), (3, 'none */'), (4, $$--;/*$$), (5, E'--\'/*');
INSERT INTO markers VALUES (6, 'a
-- in a literal;
/* too');
