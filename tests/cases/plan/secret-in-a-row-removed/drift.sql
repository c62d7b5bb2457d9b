UPDATE resources SET spec = json_set(spec, '$.columns.dsn', 'postgres://acme_app:hunter2@db') WHERE kind = 'postgres.row';
