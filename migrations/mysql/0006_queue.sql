-- +goose Up
CREATE TABLE IF NOT EXISTS queue (
    id          BIGINT NOT NULL PRIMARY KEY,
    blob_id     BIGINT NOT NULL,
    envelope_id BIGINT NOT NULL,
    kind        VARCHAR(64) NOT NULL,
    sender      VARCHAR(320) NOT NULL DEFAULT '',
    mailbox_id  BIGINT NOT NULL DEFAULT 0,
    domain_id   BIGINT NOT NULL DEFAULT 0,
    customer_id BIGINT NOT NULL DEFAULT 0,
    prefix      MEDIUMBLOB NOT NULL,
    size        BIGINT NOT NULL,
    message_id  VARCHAR(255) NOT NULL DEFAULT '',
    subject     VARCHAR(255) NOT NULL DEFAULT '',
    ret         VARCHAR(64) NOT NULL DEFAULT '',
    envid       VARCHAR(255) NOT NULL DEFAULT '',
    language    VARCHAR(64) NOT NULL DEFAULT '',
    held        TINYINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    KEY queue_blob (blob_id),
    KEY queue_mailbox (mailbox_id, created_at),
    KEY queue_customer (customer_id, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS queue_recipients (
    id         BIGINT NOT NULL PRIMARY KEY,
    queue_id   BIGINT NOT NULL,
    address    VARCHAR(320) NOT NULL,
    domain     VARCHAR(255) NOT NULL,
    original   VARCHAR(768) NOT NULL DEFAULT '',
    notify     VARCHAR(64) NOT NULL DEFAULT '',
    flow       BIGINT NOT NULL DEFAULT 0,
    state      VARCHAR(64) NOT NULL DEFAULT '',
    held       TINYINT NOT NULL DEFAULT 0,
    released   TINYINT NOT NULL DEFAULT 0,
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    warned_at  BIGINT NOT NULL DEFAULT 0,
    last_at    BIGINT NOT NULL DEFAULT 0,
    host       VARCHAR(255) NOT NULL DEFAULT '',
    code       BIGINT NOT NULL DEFAULT 0,
    enhanced   VARCHAR(64) NOT NULL DEFAULT '',
    detail     TEXT NOT NULL,
    reason     VARCHAR(255) NOT NULL DEFAULT '',
    owner      BIGINT NOT NULL DEFAULT 0,
    token      BIGINT NOT NULL DEFAULT 0,
    until_time BIGINT NOT NULL DEFAULT 0,
    KEY queue_recipients_item (queue_id),
    KEY queue_recipients_due (held, next_at),
    KEY queue_recipients_flow (held, domain, flow, next_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS suppressions (
    mailbox_id  BIGINT NOT NULL,
    address     VARCHAR(320) NOT NULL,
    customer_id BIGINT NOT NULL,
    code        BIGINT NOT NULL DEFAULT 0,
    enhanced    VARCHAR(64) NOT NULL DEFAULT '',
    detail      TEXT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, address),
    KEY suppressions_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
