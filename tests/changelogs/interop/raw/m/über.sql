INSERT INTO log (what) VALUES ('ü');
