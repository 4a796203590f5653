SELECT seq, body
FROM record
WHERE topic = $1 AND seq > $2
ORDER BY seq
LIMIT 20
