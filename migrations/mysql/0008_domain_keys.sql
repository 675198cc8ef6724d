-- +goose Up
CREATE TABLE IF NOT EXISTS dkim_keys (
    id         BIGINT NOT NULL PRIMARY KEY,
    domain_id  BIGINT NOT NULL,
    algorithm  VARCHAR(64) NOT NULL,
    selector   VARCHAR(64) NOT NULL,
    state      VARCHAR(64) NOT NULL,
    public     TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    other_at   BIGINT NOT NULL DEFAULT 0,
    active_at  BIGINT NOT NULL DEFAULT 0,
    retired_at BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT dkim_keys_selector UNIQUE (domain_id, selector),
    KEY dkim_keys_state (state, active_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dns_checks (
    domain_id  BIGINT NOT NULL PRIMARY KEY,
    health     VARCHAR(64) NOT NULL,
    body       MEDIUMTEXT NOT NULL,
    checked_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    told_at    BIGINT NOT NULL DEFAULT 0,
    KEY dns_checks_due (due_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
