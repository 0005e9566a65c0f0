INSERT INTO log (what) VALUES ('ten'), ('/'), ('GO');
