UPDATE resources SET mark = json_set(mark, '$.secret_hash', 'another') WHERE identity = 'acme_app';
