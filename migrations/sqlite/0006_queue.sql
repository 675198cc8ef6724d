-- +goose Up
CREATE TABLE queue (
    id          INTEGER NOT NULL PRIMARY KEY,
    blob_id     INTEGER NOT NULL,
    envelope_id INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    sender      TEXT NOT NULL DEFAULT '',
    mailbox_id  INTEGER NOT NULL DEFAULT 0,
    domain_id   INTEGER NOT NULL DEFAULT 0,
    customer_id INTEGER NOT NULL DEFAULT 0,
    prefix      BLOB NOT NULL,
    size        INTEGER NOT NULL,
    message_id  TEXT NOT NULL DEFAULT '',
    subject     TEXT NOT NULL DEFAULT '',
    ret         TEXT NOT NULL DEFAULT '',
    envid       TEXT NOT NULL DEFAULT '',
    language    TEXT NOT NULL DEFAULT '',
    sending     INTEGER NOT NULL DEFAULT 0,
    held        INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
);

CREATE INDEX queue_blob ON queue (blob_id);

CREATE INDEX queue_mailbox ON queue (mailbox_id, created_at);

CREATE INDEX queue_customer ON queue (customer_id, created_at);

CREATE TABLE queue_recipients (
    id         INTEGER NOT NULL PRIMARY KEY,
    queue_id   INTEGER NOT NULL,
    address    TEXT NOT NULL,
    domain     TEXT NOT NULL,
    original   TEXT NOT NULL DEFAULT '',
    notify     TEXT NOT NULL DEFAULT '',
    flow       INTEGER NOT NULL DEFAULT 0,
    state      TEXT NOT NULL DEFAULT '',
    held       INTEGER NOT NULL DEFAULT 0,
    released   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    warned_at  INTEGER NOT NULL DEFAULT 0,
    last_at    INTEGER NOT NULL DEFAULT 0,
    host       TEXT NOT NULL DEFAULT '',
    code       INTEGER NOT NULL DEFAULT 0,
    enhanced   TEXT NOT NULL DEFAULT '',
    detail     TEXT NOT NULL,
    reason     TEXT NOT NULL DEFAULT '',
    owner      INTEGER NOT NULL DEFAULT 0,
    token      INTEGER NOT NULL DEFAULT 0,
    until_time INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX queue_recipients_item ON queue_recipients (queue_id);

CREATE INDEX queue_recipients_due ON queue_recipients (held, next_at);

CREATE INDEX queue_recipients_flow ON queue_recipients (held, domain, flow, next_at);

CREATE TABLE suppressions (
    mailbox_id  INTEGER NOT NULL,
    address     TEXT NOT NULL,
    customer_id INTEGER NOT NULL,
    code        INTEGER NOT NULL DEFAULT 0,
    enhanced    TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, address)
);

CREATE INDEX suppressions_at ON suppressions (at);
