-- +goose Up
CREATE TABLE customers (
    id              INTEGER NOT NULL PRIMARY KEY,
    parent_id       INTEGER NULL,
    plan_id         INTEGER NULL,
    name            TEXT NOT NULL,
    external_id     TEXT NOT NULL DEFAULT '',
    folded          TEXT NOT NULL DEFAULT '',
    suspended       INTEGER NOT NULL DEFAULT 0,
    suspend_receive INTEGER NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL DEFAULT '',
    max_domains     INTEGER NOT NULL DEFAULT 0,
    max_mailboxes   INTEGER NOT NULL DEFAULT 0,
    max_storage     INTEGER NOT NULL DEFAULT 0,
    domains         INTEGER NOT NULL DEFAULT 0,
    mailboxes       INTEGER NOT NULL DEFAULT 0,
    allocated       INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CONSTRAINT customers_name UNIQUE (name)
);

CREATE TABLE users (
    id            INTEGER NOT NULL PRIMARY KEY,
    email         TEXT NOT NULL,
    name          TEXT NOT NULL DEFAULT '',
    role          TEXT NOT NULL,
    customer_id   INTEGER NULL,
    password_hash TEXT NOT NULL,
    language      TEXT NOT NULL DEFAULT '',
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    password_at   INTEGER NOT NULL,
    CONSTRAINT users_email UNIQUE (email)
);

CREATE INDEX users_customer ON users (customer_id);

CREATE TABLE domains (
    id            INTEGER NOT NULL PRIMARY KEY,
    customer_id   INTEGER NOT NULL,
    name          TEXT NOT NULL,
    active_name   TEXT NULL,
    folded        TEXT NOT NULL DEFAULT '',
    state         TEXT NOT NULL,
    client_host   TEXT NOT NULL DEFAULT '',
    postmaster_id INTEGER NULL,
    abuse_id      INTEGER NULL,
    alias_of      INTEGER NULL,
    catch_all     TEXT NOT NULL DEFAULT '',
    dmarc_obey    TEXT NOT NULL DEFAULT 'obey',
    source_ip     TEXT NOT NULL DEFAULT '',
    proof_token   TEXT NOT NULL DEFAULT '',
    proven_at     INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    CONSTRAINT domains_active UNIQUE (active_name)
);

CREATE INDEX domains_name ON domains (name);

CREATE INDEX domains_alias ON domains (alias_of);

CREATE INDEX domains_customer ON domains (customer_id, name);

CREATE TABLE addresses (
    id         INTEGER NOT NULL PRIMARY KEY,
    domain_id  INTEGER NOT NULL,
    local_part TEXT NOT NULL,
    kind       TEXT NOT NULL,
    mailbox_id INTEGER NULL,
    alias_id   INTEGER NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT addresses_unique UNIQUE (domain_id, local_part)
);

CREATE INDEX addresses_mailbox ON addresses (mailbox_id);

CREATE INDEX addresses_alias ON addresses (alias_id);

CREATE TABLE mailboxes (
    id             INTEGER NOT NULL PRIMARY KEY,
    customer_id    INTEGER NOT NULL,
    domain_id      INTEGER NOT NULL,
    address        TEXT NOT NULL,
    name           TEXT NOT NULL DEFAULT '',
    folded         TEXT NOT NULL DEFAULT '',
    password_hash  TEXT NOT NULL,
    quota_bytes    INTEGER NOT NULL DEFAULT 0,
    quota_messages INTEGER NOT NULL DEFAULT 0,
    login_off      INTEGER NOT NULL DEFAULT 0,
    send_off       INTEGER NOT NULL DEFAULT 0,
    receive_off    INTEGER NOT NULL DEFAULT 0,
    reason         TEXT NOT NULL DEFAULT '',
    switched_by    TEXT NOT NULL DEFAULT '',
    held_at        INTEGER NOT NULL DEFAULT 0,
    held_reason    TEXT NOT NULL DEFAULT '',
    held_by        TEXT NOT NULL DEFAULT '',
    full_since     INTEGER NOT NULL DEFAULT 0,
    forward_only   INTEGER NOT NULL DEFAULT 0,
    language       TEXT NOT NULL DEFAULT '',
    deleted_at     INTEGER NOT NULL DEFAULT 0,
    deleted_by     TEXT NOT NULL DEFAULT '',
    purging        INTEGER NOT NULL DEFAULT 0,
    last_login_at  INTEGER NOT NULL DEFAULT 0,
    last_protocol  TEXT NOT NULL DEFAULT '',
    logouts        INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    password_at    INTEGER NOT NULL
);

CREATE INDEX mailboxes_address ON mailboxes (address);

CREATE INDEX mailboxes_customer ON mailboxes (customer_id, deleted_at, address);

CREATE INDEX mailboxes_domain ON mailboxes (domain_id, deleted_at, address);

CREATE INDEX mailboxes_bin ON mailboxes (deleted_at, address);

CREATE INDEX mailboxes_held ON mailboxes (deleted_at, held_at);

CREATE TABLE sessions (
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL DEFAULT 0,
    data       BLOB NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
