-- +goose Up
CREATE TABLE IF NOT EXISTS aliases (
    id          BIGINT NOT NULL PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    domain_id   BIGINT NOT NULL,
    address     VARCHAR(320) NOT NULL,
    kind        VARCHAR(64) NOT NULL,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    folded      VARCHAR(768) NOT NULL DEFAULT '',
    off         TINYINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    KEY aliases_address (address),
    KEY aliases_customer (customer_id, address),
    KEY aliases_domain (domain_id, address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS targets (
    id          BIGINT NOT NULL PRIMARY KEY,
    owner_id    BIGINT NOT NULL,
    customer_id BIGINT NOT NULL,
    address     VARCHAR(320) NOT NULL,
    external    TINYINT NOT NULL DEFAULT 0,
    verified_at BIGINT NOT NULL DEFAULT 0,
    token_hash  VARCHAR(64) NOT NULL DEFAULT '',
    asked_at    BIGINT NOT NULL DEFAULT 0,
    ask_at      BIGINT NOT NULL DEFAULT 0,
    ask_tries   BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    CONSTRAINT targets_unique UNIQUE (owner_id, address),
    KEY targets_address (address),
    KEY targets_customer (customer_id, external),
    KEY targets_asked (external, verified_at, asked_at, ask_at),
    KEY targets_token (token_hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS auto_replies (
    mailbox_id BIGINT NOT NULL PRIMARY KEY,
    enabled    TINYINT NOT NULL DEFAULT 0,
    subject    VARCHAR(255) NOT NULL DEFAULT '',
    body       TEXT NOT NULL,
    outside    TEXT NOT NULL,
    starts_at  BIGINT NOT NULL DEFAULT 0,
    ends_at    BIGINT NOT NULL DEFAULT 0,
    answered   BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS auto_replied (
    mailbox_id BIGINT NOT NULL,
    sender     VARCHAR(320) NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, sender),
    KEY auto_replied_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS limits_used (
    subject_id BIGINT NOT NULL,
    period     VARCHAR(64) NOT NULL,
    start      BIGINT NOT NULL,
    recipients BIGINT NOT NULL DEFAULT 0,
    bounced    BIGINT NOT NULL DEFAULT 0,
    recipients_before BIGINT NOT NULL DEFAULT 0,
    released_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subject_id, period, start),
    KEY limits_used_start (start)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS relays (
    owner_id   BIGINT NOT NULL PRIMARY KEY,
    owner_kind VARCHAR(64) NOT NULL,
    host       VARCHAR(255) NOT NULL,
    port       BIGINT NOT NULL,
    security   VARCHAR(64) NOT NULL,
    username   VARCHAR(255) NOT NULL DEFAULT '',
    secret     TEXT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
