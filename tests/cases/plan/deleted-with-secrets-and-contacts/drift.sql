UPDATE resources SET spec = json_set(spec, '$.columns.dsn', 'postgres://acme_app:hunter2@db', '$.columns.seen', 'today') WHERE kind = 'postgres.row' AND identity LIKE '%acme%';
