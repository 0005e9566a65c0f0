INSERT INTO log (what) VALUES ('slash; one')
/
INSERT INTO log (what) VALUES ('slash two')
/
