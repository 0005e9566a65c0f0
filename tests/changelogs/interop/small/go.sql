--liquibase formatted sql

--changeset delimiters:default
CREATE TABLE log (at serial, what text)
GO
INSERT INTO log (what) VALUES ('one')
go
INSERT INTO log (what) VALUES ('two')
/
INSERT INTO log (what) VALUES ('three
GO
/
end'); INSERT INTO log (what) VALUES ('four')
