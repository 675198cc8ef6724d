-- +goose Up
CREATE TABLE IF NOT EXISTS mtasts_policies (
    domain     VARCHAR(255) NOT NULL PRIMARY KEY,
    policy_id  VARCHAR(64) NOT NULL,
    mode       VARCHAR(64) NOT NULL,
    mx         TEXT NOT NULL,
    max_age    BIGINT NOT NULL,
    fetched_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    refresh_at BIGINT NOT NULL,
    KEY mtasts_policies_refresh (refresh_at),
    KEY mtasts_policies_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
