SELECT directives() = 'kept' AND prosrc LIKE '%--rollback DROP TABLE important;%--comment this stays%+goose Down%migrate:down%'
  FROM pg_proc WHERE proname = 'directives';
