CREATE FUNCTION directives() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  --rollback DROP TABLE important;
  -- changeset of the day: none
  --comment this stays in the function
  --precondition-sql-check is a comment here
  -- +goose Down
  -- migrate:down
  RETURN 'kept';
END;
$$;
