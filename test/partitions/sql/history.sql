SELECT seq, body
FROM record
WHERE topic = $1 AND peer = 'peer' AND peer <> '' AND seq < $2
ORDER BY seq DESC
LIMIT 20
