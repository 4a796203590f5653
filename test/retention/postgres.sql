SELECT
    (SELECT count(*) FROM record),
    (SELECT count(*) FROM invitation),
    pg_database_size(current_database()),
    (SELECT sum(size)::bigint FROM pg_ls_waldir()),
    (pg_current_wal_lsn() - '0/0')::bigint,
    (SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables),
    (SELECT sum(autovacuum_count)::bigint FROM pg_stat_user_tables)
