-- a raw file in an include; one changeset
INSERT INTO log (what) VALUES ('raw include ${kind}');
INSERT INTO log (what) VALUES ('raw; two');
