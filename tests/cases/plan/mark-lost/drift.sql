UPDATE resources SET mark = NULL WHERE identity = 'acme_app';
UPDATE resources SET mark = NULL WHERE identity = 'acme_auth';
