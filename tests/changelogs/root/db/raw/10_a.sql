create table r2 (id int);
