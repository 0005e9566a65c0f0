--liquibase formatted sql

--changeset me:1
CREATE TABLE IF NOT EXISTS once (a int);

--changeset me:2
CREATE TABLE IF NOT EXISTS twice (a int);

--changeset me:empty context:test
--comment: nothing follows
