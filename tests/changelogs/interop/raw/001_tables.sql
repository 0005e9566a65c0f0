CREATE TABLE log (at serial PRIMARY KEY, what text);
CREATE TABLE numbers (n int, "Quoted;" text DEFAULT 'a;b');
COMMENT ON TABLE numbers IS '-- no comment; ${nothing} is expanded';
