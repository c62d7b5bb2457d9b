UPDATE resources SET spec = json_set(spec, '$.inherit', json('false')) WHERE identity = 'acme_app';
UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 99) WHERE identity = 'beta_app';
