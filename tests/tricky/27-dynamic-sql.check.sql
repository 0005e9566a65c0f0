SELECT string_agg(name, ',' ORDER BY name) = 'dyn_a,dyn b;' OR string_agg(name, ',' ORDER BY name) = 'dyn b;,dyn_a' FROM made WHERE to_regclass(quote_ident(name)) IS NOT NULL;
