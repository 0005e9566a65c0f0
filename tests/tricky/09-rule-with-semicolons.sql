CREATE TABLE things (id int, name text);
CREATE TABLE things_log (n serial, what text);
CREATE RULE things_ins AS ON INSERT TO things DO ALSO (
  INSERT INTO things_log (what) VALUES ('one;' || NEW.name);
  INSERT INTO things_log (what) VALUES (')' || NEW.name);
);
INSERT INTO things VALUES (1, 'x');
