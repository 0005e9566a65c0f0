INSERT INTO ${schema}.customer (name) VALUES ('Ann'), ('Bob; Sons'), ('C:\');

INSERT INTO ${schema}.orders (customer, paid)
    SELECT id, name = 'Ann' FROM ${schema}.customer;
