--liquibase formatted sql logicalFilePath:logical/f.sql
--changeset ann:f3
create table f3 (id int);
