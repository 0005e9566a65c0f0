/* one; /* two; ' " $$ */ still one; */ CREATE TABLE nested (a int /* ; */, b int /**/);
/*/ a comment that is open; */
INSERT INTO nested VALUES (1, /* -- */ 2); -- it's; /* not open
INSERT INTO nested VALUES (3, 4) /* /**/ ; */;
--/*
INSERT INTO nested VALUES (5, 6);
--*/
