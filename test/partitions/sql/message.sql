SELECT seq, body
FROM record
WHERE topic = $1 AND msg = $2::bigint::text AND msg <> ''
