CREATE TABLE copied (a int, b text);
COPY copied (a, b) FROM stdin;
1	it's; $$ /* --
2	\N
3	a\tb\\
4	\\.
\.
COPY copied FROM STDIN WITH (FORMAT csv, HEADER);
a,b
5,"two
lines;"
\.
COPY copied FROM stdin;
\.
INSERT INTO copied VALUES (6, 'after');
