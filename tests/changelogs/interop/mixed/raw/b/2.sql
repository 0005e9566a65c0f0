INSERT INTO log (what) VALUES ('bom é');
