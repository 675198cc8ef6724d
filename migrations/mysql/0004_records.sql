-- +goose Up
CREATE TABLE IF NOT EXISTS events (
    id          BIGINT NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    kind        VARCHAR(64) NOT NULL,
    customer_id BIGINT NOT NULL DEFAULT 0,
    mailbox_id  BIGINT NOT NULL DEFAULT 0,
    envelope_id BIGINT NOT NULL DEFAULT 0,
    direction   VARCHAR(64) NOT NULL,
    message_id  VARCHAR(255) NOT NULL DEFAULT '',
    sender      VARCHAR(320) NOT NULL DEFAULT '',
    recipient   VARCHAR(320) NOT NULL DEFAULT '',
    subject     VARCHAR(255) NOT NULL DEFAULT '',
    remote      VARCHAR(64) NOT NULL DEFAULT '',
    code        BIGINT NOT NULL DEFAULT 0,
    enhanced    VARCHAR(64) NOT NULL DEFAULT '',
    words       VARCHAR(64) NOT NULL DEFAULT '',
    detail      TEXT NOT NULL,
    size        BIGINT NOT NULL DEFAULT 0,
    queue_id    BIGINT NOT NULL DEFAULT 0,
    host        VARCHAR(255) NOT NULL DEFAULT '',
    tls         VARCHAR(64) NOT NULL DEFAULT '',
    next_at     BIGINT NOT NULL DEFAULT 0,
    folder      VARCHAR(64) NOT NULL DEFAULT '',
    subject_folded VARCHAR(255) NOT NULL DEFAULT '',
    sender_key     BIGINT NOT NULL DEFAULT 0,
    recipient_key  BIGINT NOT NULL DEFAULT 0,
    message_key    BIGINT NOT NULL DEFAULT 0,
    KEY events_at (at),
    KEY events_customer (customer_id, at),
    KEY events_mailbox (mailbox_id, at),
    KEY events_envelope (envelope_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS logins (
    id          BIGINT NOT NULL PRIMARY KEY,
    fingerprint BIGINT NOT NULL,
    mailbox_id  BIGINT NOT NULL DEFAULT 0,
    user_id     BIGINT NOT NULL DEFAULT 0,
    login_name  VARCHAR(255) NOT NULL DEFAULT '',
    protocol    VARCHAR(64) NOT NULL,
    network     VARCHAR(64) NOT NULL,
    client      VARCHAR(255) NOT NULL DEFAULT '',
    ok          TINYINT NOT NULL,
    reason      VARCHAR(64) NOT NULL DEFAULT '',
    hour        BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    count       BIGINT NOT NULL,
    CONSTRAINT logins_unique UNIQUE (fingerprint, hour),
    KEY logins_mailbox (mailbox_id, last_at),
    KEY logins_user (user_id, last_at),
    KEY logins_last (last_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS login_blocks (
    network       VARCHAR(64) NOT NULL,
    mailbox_id    BIGINT NOT NULL DEFAULT 0,
    failures      BIGINT NOT NULL DEFAULT 0,
    blocked_until BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (network, mailbox_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
