CREATE TABLE placeholders (v text);
INSERT INTO placeholders VALUES ('${name}'), ('#{x}'), ($$${y}$$), ('{{z}}'), ('%(p)s');
COMMENT ON TABLE placeholders IS '${not.a.property}';
