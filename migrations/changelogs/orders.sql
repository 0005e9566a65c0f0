--liquibase formatted sql

--changeset ann:orders
--comment: what customers buy
CREATE TABLE orders (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    placed  timestamptz NOT NULL DEFAULT now(),
    total   numeric(12, 2) NOT NULL CHECK (total >= 0)
);
--rollback DROP TABLE orders;

--changeset ann:orders-of-day runOnChange:true
-- Runs again whenever its text changes. The server takes the text apart, so nothing has to be said
-- about semicolons in a body.
CREATE OR REPLACE FUNCTION orders_of_day(wanted date) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(sum(total), 0) FROM orders WHERE placed::date = wanted);
END
$$;
--rollback DROP FUNCTION orders_of_day(date);

--changeset bob:seed context:dev
INSERT INTO orders (total) VALUES (19.99), (5.00);
