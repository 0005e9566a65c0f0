--liquibase formatted sql
--changeset words:quoted context:"(prod or test) and not qa" labels:one
INSERT INTO log (what) VALUES ('quoted');
--changeset words:comma context:"test, prod and !qa" labels:"three, one"
INSERT INTO log (what) VALUES ('comma');
--changeset words:unquoted context:test or prod
INSERT INTO log (what) VALUES ('unquoted');
--changeset words:bang labels:!two context:all
INSERT INTO log (what) VALUES ('odd label');
