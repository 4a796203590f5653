INSERT INTO record (topic, seq, at, device, listen, body, peer, ord, pair, msg, sender)
SELECT r.topic, r.seq, r.at, 'device', '', repeat('x', 350), 'peer', r.seq, r.seq, r.msg, 'sender'
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS r (topic, seq, at, msg)
