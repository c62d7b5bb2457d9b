UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 99) WHERE identity = 'acme_app';
UPDATE resources SET spec = json_set(spec, '$.columns.storage', 5) WHERE kind = 'postgres.row' AND identity LIKE '%beta%';
