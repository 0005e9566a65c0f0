create table s3 (id int default ${num});
