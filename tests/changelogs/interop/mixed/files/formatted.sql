--liquibase formatted sql logicalFilePath:db/changelog/formatted.sql

--changeset formatted:1 labels:own context:test
--comment: inherits the logical path of the header
INSERT INTO log (what) VALUES ('formatted ${kind}');

--changeset formatted:2 logicalFilePath:db/changelog/other-${kind}.sql
CREATE TABLE empty_one (a int);
--rollback DROP TABLE empty_one;
