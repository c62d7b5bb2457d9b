DELETE FROM resources WHERE identity = 'acme_app';
DELETE FROM resources WHERE identity = 'gamma_reports';
