CREATE INDEX CONCURRENTLY orders_placed ON ${schema}.orders (placed);
