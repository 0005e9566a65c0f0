--liquibase formatted sql
--changeset ann:f2
create table f2 (id int default ${num});
