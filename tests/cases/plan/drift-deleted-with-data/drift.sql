DELETE FROM resources WHERE kind = 'postgres.schema' AND name = 'tenant_acme';
