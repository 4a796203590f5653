SELECT sum(pg_total_relation_size(c.oid))::bigint
FROM pg_class c
WHERE c.relkind = 'r' AND c.relname LIKE 'record%'
