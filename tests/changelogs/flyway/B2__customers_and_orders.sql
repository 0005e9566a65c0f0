-- 1, 1.1 and 2 at once, for a database that is empty.
CREATE TABLE ${schema}.customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    changed timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION ${schema}.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER customer_touch BEFORE UPDATE ON ${schema}.customer
    FOR EACH ROW EXECUTE FUNCTION ${schema}.touch();

CREATE TABLE ${schema}.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES ${schema}.customer,
    placed timestamptz NOT NULL DEFAULT now(),
    paid boolean NOT NULL DEFAULT false
);

CREATE INDEX orders_placed ON ${schema}.orders (placed);
