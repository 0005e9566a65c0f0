-- What runs after this text is still the other role, unless it is taken back.
CREATE TABLE acted (who name);
GRANT INSERT, SELECT ON acted TO pg_monitor;
SET ROLE pg_monitor;
INSERT INTO acted VALUES (current_user);
