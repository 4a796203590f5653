DELETE FROM record
WHERE topic = $1 AND seq <= $2
