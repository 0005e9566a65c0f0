CREATE TABLE docs (id int, doc jsonb, p point DEFAULT '(0,0)');
INSERT INTO docs (id, doc) VALUES (1, '{"a": 1, "b;": {"c?": [1, 2]}}'), (2, '["?"]');
CREATE TABLE found AS
  SELECT count(*) FILTER (WHERE doc ? 'a') AS one,
         count(*) FILTER (WHERE doc ?| ARRAY['a', '?']) AS any_of,
         count(*) FILTER (WHERE doc ?& ARRAY['a', 'b;']) AS all_of,
         count(*) FILTER (WHERE doc @? '$.a ? (@ > 0)') AS path,
         count(*) FILTER (WHERE doc #>> '{b;,c?,1}' = '2') AS deep,
         max(@ -1) AS absolute,
         count(*) FILTER (WHERE p ?- point '(1,0)') AS level,
         count(*) FILTER (WHERE 1 -- a comment, no operator; /*
                          +/* ; */1 = 2) AS plus
  FROM docs;
