UPDATE resources SET spec = json_set(spec, '$.columns.dsn', 'postgres://acme_app:hunter2@db', '$.columns.storage', 1) WHERE kind = 'postgres.row' AND identity LIKE '%acme%';
UPDATE resources SET spec = json_set(spec, '$.columns.dsn', 'postgres://gamma_app:hunter2@db') WHERE kind = 'postgres.row' AND identity LIKE '%gamma%';
