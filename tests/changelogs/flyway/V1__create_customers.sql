-- Customers, and when they changed last.
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
