create table r1 (id int default 5);
