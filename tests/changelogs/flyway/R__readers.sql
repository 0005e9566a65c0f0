GRANT USAGE ON SCHEMA ${schema} TO ${reader};
GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${reader};
