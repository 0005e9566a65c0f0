--liquibase formatted sql

--changeset ann:countries
CREATE TABLE countries (code char(2), name text);
COPY countries (code, name) FROM stdin;
de	Germany
gb	United Kingdom
\.

--changeset ann:countries-code
CREATE UNIQUE INDEX CONCURRENTLY countries_code ON countries (code);
VACUUM (ANALYZE) countries;
