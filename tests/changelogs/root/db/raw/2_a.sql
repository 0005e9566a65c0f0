create table r3 (id int);
