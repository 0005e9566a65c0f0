INSERT INTO log (what) VALUES ('in a folder with a space')
;
;
