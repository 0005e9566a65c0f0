

  -- Liquibase Formatted SQL

--changeset raw:1 context:test labels:one
INSERT INTO log (what) VALUES ('formatted among raw ones');
--rollback empty
--changeset raw:2 splitStatements:false
INSERT INTO log (what) VALUES ('second');
