--liquibase formatted sql
--changeset all:1 context:own labels:own
INSERT INTO log (what) VALUES ('all 1');
