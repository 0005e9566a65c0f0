--liquibase formatted sql
--changeset ann:f1 context:own labels:lo
create table f1 (id int);
