CREATE TABLE suppliers (id uuid PRIMARY KEY, name text NOT NULL);
