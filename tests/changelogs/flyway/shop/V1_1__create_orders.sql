CREATE TABLE ${schema}.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES ${schema}.customer,
    placed timestamptz NOT NULL DEFAULT now(),
    paid boolean NOT NULL DEFAULT false
);
