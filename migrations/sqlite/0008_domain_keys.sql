-- +goose Up
CREATE TABLE dkim_keys (
    id         INTEGER NOT NULL PRIMARY KEY,
    domain_id  INTEGER NOT NULL,
    algorithm  TEXT NOT NULL,
    selector   TEXT NOT NULL,
    state      TEXT NOT NULL,
    public     TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    other_at   INTEGER NOT NULL DEFAULT 0,
    active_at  INTEGER NOT NULL DEFAULT 0,
    retired_at INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT dkim_keys_selector UNIQUE (domain_id, selector)
);

CREATE INDEX dkim_keys_state ON dkim_keys (state, active_at);

CREATE TABLE dns_checks (
    domain_id  INTEGER NOT NULL PRIMARY KEY,
    health     TEXT NOT NULL,
    body       TEXT NOT NULL,
    checked_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    told_at    INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX dns_checks_due ON dns_checks (due_at);
