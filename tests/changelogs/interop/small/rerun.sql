--liquibase formatted sql

--changeset run:once
CREATE TABLE log (at serial, what text);

--changeset run:on-change runOnChange:true
INSERT INTO log (what) VALUES ('on change, version 1');

--changeset run:always runAlways:true labels:maintenance
--comment: runs each time
INSERT INTO log (what) VALUES ('always');

--changeset run:always-if runAlways:true
--preconditions onFail:MARK_RAN
--precondition-sql-check expectedResult:0 SELECT count(*) FROM log WHERE what = 'on change, version 2'
INSERT INTO log (what) VALUES ('always until version 2');

--changeset run:plain
INSERT INTO log (what) VALUES ('plain');

--changeset run:fails failOnError:false
INSERT INTO log (what) VALUES ('lost'), (1/0);

--changeset run:not-yet
--preconditions onFail:CONTINUE
--precondition-sql-check expectedResult:1 SELECT count(*) FROM log WHERE what = 'on change, version 2'
INSERT INTO log (what) VALUES ('after version 2');

--changeset run:last
INSERT INTO log (what) VALUES ('last');
