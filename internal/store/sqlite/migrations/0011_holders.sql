-- +goose Up

-- The messages that hold a file: it is readable where such a message stands. until is the end of an onlineUserOnly message, which is
-- not stored. Replaces file_reader, which is removed a release later.
CREATE TABLE file_holder (
    file_id TEXT   NOT NULL,
    topic   TEXT   NOT NULL,
    msg     TEXT   NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (file_id, topic, msg)
) WITHOUT ROWID;
CREATE INDEX file_holder_message ON file_holder (topic, msg);
CREATE INDEX file_holder_until ON file_holder (until) WHERE until > 0;

INSERT INTO file_holder (file_id, topic, msg, until)
SELECT file_id, topic, msg, 0 FROM (
    SELECT topic, msg, coalesce(json_extract(body, '$.image.fileID'), json_extract(body, '$.sound.fileID'), json_extract(body, '$.video.fileID'), json_extract(body, '$.file.fileID')) AS file_id
    FROM record WHERE msg <> '' AND flags % 2 = 0 AND body LIKE '%"fileID"%'
    UNION
    SELECT topic, msg, coalesce(json_extract(body, '$.image.thumbID'), json_extract(body, '$.video.thumbID'), json_extract(body, '$.file.thumbID'), json_extract(body, '$.sound.thumbID')) AS file_id
    FROM record WHERE msg <> '' AND flags % 2 = 0 AND body LIKE '%"thumbID"%'
) held WHERE file_id IS NOT NULL AND file_id <> '';
