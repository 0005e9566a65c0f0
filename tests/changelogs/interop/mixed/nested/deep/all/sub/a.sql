INSERT INTO log (what) VALUES ('all raw');
