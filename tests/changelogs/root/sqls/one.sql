-- a comment ${num}
create table s1 (id int);

create table s2 (id int);
