CREATE TABLE "odd; name" ("a;b" int, "say ""x;""" text, "--c" text, "/*d" text, "it's" text, "$$" text);
INSERT INTO "odd; name" ("a;b", "say ""x;""", "--c", "/*d", "it's", "$$") VALUES (1, 'b', 'c', 'd', 'e', 'f');
COMMENT ON COLUMN "odd; name"."a;b" IS 'one; two';
