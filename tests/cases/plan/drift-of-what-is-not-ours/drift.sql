UPDATE resources SET spec = json_set(spec, '$.columns.seen', 'today') WHERE kind = 'postgres.row' AND identity LIKE '%beta%';
