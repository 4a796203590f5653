-- The size of the database, and the position in its log.
SELECT pg_database_size('beckon')::float8, (pg_current_wal_lsn() - '0/0')::float8;
