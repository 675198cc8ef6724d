-- +goose Up
CREATE TABLE IF NOT EXISTS event_digests (
    id        BIGINT NOT NULL PRIMARY KEY,
    after_id  BIGINT NOT NULL,
    upto      BIGINT NOT NULL,
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    records   BIGINT NOT NULL,
    keys_part BIGINT NOT NULL,
    subjects  BIGINT NOT NULL,
    marks     MEDIUMBLOB NOT NULL,
    CONSTRAINT event_digests_after UNIQUE (after_id),
    KEY event_digests_upto (upto),
    KEY event_digests_last (last_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS event_digest_parts (
    id   BIGINT NOT NULL PRIMARY KEY,
    data MEDIUMBLOB NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
