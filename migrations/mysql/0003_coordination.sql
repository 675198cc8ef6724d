-- +goose Up
CREATE TABLE IF NOT EXISTS nodes (
    number     BIGINT NOT NULL PRIMARY KEY,
    process    BIGINT NOT NULL,
    kind       VARCHAR(64) NOT NULL,
    host       VARCHAR(255) NOT NULL,
    folder     VARCHAR(64) NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS streams (
    stream     BIGINT NOT NULL PRIMARY KEY,
    process    BIGINT NOT NULL,
    started_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS changes (
    stream BIGINT NOT NULL,
    seq    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    items  TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS leases (
    name       VARCHAR(255) NOT NULL PRIMARY KEY,
    owner      BIGINT NOT NULL,
    token      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
