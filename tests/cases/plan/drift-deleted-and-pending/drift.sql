DELETE FROM resources WHERE identity = 'acme_app';
