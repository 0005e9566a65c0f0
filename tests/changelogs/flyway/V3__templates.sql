-- Not a placeholder of Flyway's, but data: see the settings beside this script.
CREATE TABLE template (name text PRIMARY KEY, body text NOT NULL);

INSERT INTO template VALUES ('welcome', 'Dear ${name}, your order ${order} is on its way.');
