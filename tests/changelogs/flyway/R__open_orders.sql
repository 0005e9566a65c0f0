CREATE OR REPLACE VIEW ${schema}.open_orders AS
    SELECT orders.id, customer.name, orders.placed
    FROM ${schema}.orders
    JOIN ${schema}.customer ON customer.id = orders.customer
    WHERE NOT orders.paid;
