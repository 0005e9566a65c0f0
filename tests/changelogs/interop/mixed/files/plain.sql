-- a comment at the start; with a semicolon
INSERT INTO log (what) VALUES ('plain; one');
INSERT INTO log (what) VALUES ('expanded: ${schema.table}');
