-- +goose Up
CREATE TABLE IF NOT EXISTS certificates (
    name       VARCHAR(255) NOT NULL PRIMARY KEY,
    value      MEDIUMTEXT NOT NULL,
    size       BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
