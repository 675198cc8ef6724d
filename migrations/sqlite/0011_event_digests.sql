-- +goose Up
CREATE TABLE event_digests (
    id        INTEGER NOT NULL PRIMARY KEY,
    after_id  INTEGER NOT NULL UNIQUE,
    upto      INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    keys_part INTEGER NOT NULL,
    subjects  INTEGER NOT NULL,
    marks     BLOB NOT NULL
);

CREATE INDEX event_digests_upto ON event_digests (upto);

CREATE INDEX event_digests_last ON event_digests (last_at);

CREATE TABLE event_digest_parts (
    id   INTEGER NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);
