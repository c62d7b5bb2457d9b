INSERT INTO resources SELECT target, kind, 'acme_app_copy', 'acme_app_copy', json_set(spec, '$.name', 'acme_app_copy'), mark, outputs FROM resources WHERE identity = 'acme_app';
