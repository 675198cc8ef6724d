-- +goose Up
CREATE TABLE events (
    id          INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    customer_id INTEGER NOT NULL DEFAULT 0,
    mailbox_id  INTEGER NOT NULL DEFAULT 0,
    envelope_id INTEGER NOT NULL DEFAULT 0,
    direction   TEXT NOT NULL,
    message_id  TEXT NOT NULL DEFAULT '',
    sender      TEXT NOT NULL DEFAULT '',
    recipient   TEXT NOT NULL DEFAULT '',
    subject     TEXT NOT NULL DEFAULT '',
    remote      TEXT NOT NULL DEFAULT '',
    code        INTEGER NOT NULL DEFAULT 0,
    enhanced    TEXT NOT NULL DEFAULT '',
    words       TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL,
    size        INTEGER NOT NULL DEFAULT 0,
    queue_id    INTEGER NOT NULL DEFAULT 0,
    host        TEXT NOT NULL DEFAULT '',
    tls         TEXT NOT NULL DEFAULT '',
    next_at     INTEGER NOT NULL DEFAULT 0,
    folder      TEXT NOT NULL DEFAULT '',
    subject_folded TEXT NOT NULL DEFAULT '',
    sender_key     INTEGER NOT NULL DEFAULT 0,
    recipient_key  INTEGER NOT NULL DEFAULT 0,
    message_key    INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX events_at ON events (at);

CREATE INDEX events_customer ON events (customer_id, at);

CREATE INDEX events_mailbox ON events (mailbox_id, at);

CREATE INDEX events_envelope ON events (envelope_id);

CREATE TABLE logins (
    id          INTEGER NOT NULL PRIMARY KEY,
    fingerprint INTEGER NOT NULL,
    mailbox_id  INTEGER NOT NULL DEFAULT 0,
    user_id     INTEGER NOT NULL DEFAULT 0,
    login_name  TEXT NOT NULL DEFAULT '',
    protocol    TEXT NOT NULL,
    network     TEXT NOT NULL,
    client      TEXT NOT NULL DEFAULT '',
    ok          INTEGER NOT NULL,
    reason      TEXT NOT NULL DEFAULT '',
    hour        INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    CONSTRAINT logins_unique UNIQUE (fingerprint, hour)
);

CREATE TABLE login_blocks (
    network       TEXT NOT NULL,
    mailbox_id    INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    blocked_until INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (network, mailbox_id)
);

CREATE INDEX logins_mailbox ON logins (mailbox_id, last_at);

CREATE INDEX logins_user ON logins (user_id, last_at);

CREATE INDEX logins_last ON logins (last_at);
