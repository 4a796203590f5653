SELECT seq, at, msg
FROM record
WHERE topic = $1
ORDER BY seq
LIMIT 500
