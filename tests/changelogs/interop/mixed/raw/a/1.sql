INSERT INTO log (what) VALUES ('raw a');
INSERT INTO log (what) VALUES ('raw a 2')