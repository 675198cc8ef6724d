-- +goose Up
CREATE TABLE aliases (
    id          INTEGER NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    domain_id   INTEGER NOT NULL,
    address     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    folded      TEXT NOT NULL DEFAULT '',
    off         INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);

CREATE INDEX aliases_address ON aliases (address);

CREATE INDEX aliases_customer ON aliases (customer_id, address);

CREATE INDEX aliases_domain ON aliases (domain_id, address);

CREATE TABLE targets (
    id          INTEGER NOT NULL PRIMARY KEY,
    owner_id    INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    address     TEXT NOT NULL,
    external    INTEGER NOT NULL DEFAULT 0,
    verified_at INTEGER NOT NULL DEFAULT 0,
    token_hash  TEXT NOT NULL DEFAULT '',
    asked_at    INTEGER NOT NULL DEFAULT 0,
    ask_at      INTEGER NOT NULL DEFAULT 0,
    ask_tries   INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    CONSTRAINT targets_unique UNIQUE (owner_id, address)
);

CREATE INDEX targets_address ON targets (address);

CREATE INDEX targets_customer ON targets (customer_id, external);

CREATE INDEX targets_asked ON targets (external, verified_at, asked_at, ask_at);

CREATE INDEX targets_token ON targets (token_hash);

CREATE TABLE auto_replies (
    mailbox_id INTEGER NOT NULL PRIMARY KEY,
    enabled    INTEGER NOT NULL DEFAULT 0,
    subject    TEXT NOT NULL DEFAULT '',
    body       TEXT NOT NULL,
    outside    TEXT NOT NULL,
    starts_at  INTEGER NOT NULL DEFAULT 0,
    ends_at    INTEGER NOT NULL DEFAULT 0,
    answered   INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL
);

CREATE TABLE auto_replied (
    mailbox_id INTEGER NOT NULL,
    sender     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, sender)
);

CREATE INDEX auto_replied_at ON auto_replied (at);

CREATE TABLE limits_used (
    subject_id INTEGER NOT NULL,
    period     TEXT NOT NULL,
    start      INTEGER NOT NULL,
    recipients INTEGER NOT NULL DEFAULT 0,
    bounced    INTEGER NOT NULL DEFAULT 0,
    recipients_before INTEGER NOT NULL DEFAULT 0,
    released_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subject_id, period, start)
);

CREATE INDEX limits_used_start ON limits_used (start);

CREATE TABLE relays (
    owner_id   INTEGER NOT NULL PRIMARY KEY,
    owner_kind TEXT NOT NULL,
    host       TEXT NOT NULL,
    port       INTEGER NOT NULL,
    security   TEXT NOT NULL,
    username   TEXT NOT NULL DEFAULT '',
    secret     TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);
