INSERT INTO resources VALUES ('main', 'postgres.database', 'archive_acme', 'archive_acme', '{"connectionLimit":-1,"encoding":"LATIN1","name":"archive_acme"}', NULL, '{}');
