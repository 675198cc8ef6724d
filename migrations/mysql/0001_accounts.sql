-- +goose Up
CREATE TABLE IF NOT EXISTS customers (
    id              BIGINT NOT NULL PRIMARY KEY,
    parent_id       BIGINT NULL,
    plan_id         BIGINT NULL,
    name            VARCHAR(255) NOT NULL,
    external_id     VARCHAR(255) NOT NULL DEFAULT '',
    folded          VARCHAR(768) NOT NULL DEFAULT '',
    suspended       TINYINT NOT NULL DEFAULT 0,
    suspend_receive TINYINT NOT NULL DEFAULT 0,
    reason          VARCHAR(255) NOT NULL DEFAULT '',
    max_domains     BIGINT NOT NULL DEFAULT 0,
    max_mailboxes   BIGINT NOT NULL DEFAULT 0,
    max_storage     BIGINT NOT NULL DEFAULT 0,
    domains         BIGINT NOT NULL DEFAULT 0,
    mailboxes       BIGINT NOT NULL DEFAULT 0,
    allocated       BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    CONSTRAINT customers_name UNIQUE (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS users (
    id            BIGINT NOT NULL PRIMARY KEY,
    email         VARCHAR(320) NOT NULL,
    name          VARCHAR(255) NOT NULL DEFAULT '',
    role          VARCHAR(64) NOT NULL,
    customer_id   BIGINT NULL,
    password_hash VARCHAR(255) NOT NULL,
    language      VARCHAR(64) NOT NULL DEFAULT '',
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    password_at   BIGINT NOT NULL,
    CONSTRAINT users_email UNIQUE (email),
    KEY users_customer (customer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS domains (
    id            BIGINT NOT NULL PRIMARY KEY,
    customer_id   BIGINT NOT NULL,
    name          VARCHAR(255) NOT NULL,
    active_name   VARCHAR(255) NULL,
    folded        VARCHAR(768) NOT NULL DEFAULT '',
    state         VARCHAR(64) NOT NULL,
    client_host   VARCHAR(255) NOT NULL DEFAULT '',
    postmaster_id BIGINT NULL,
    abuse_id      BIGINT NULL,
    alias_of      BIGINT NULL,
    catch_all     VARCHAR(320) NOT NULL DEFAULT '',
    dmarc_obey    VARCHAR(64) NOT NULL DEFAULT 'obey',
    source_ip     VARCHAR(64) NOT NULL DEFAULT '',
    proof_token   VARCHAR(64) NOT NULL DEFAULT '',
    proven_at     BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CONSTRAINT domains_active UNIQUE (active_name),
    KEY domains_name (name),
    KEY domains_alias (alias_of),
    KEY domains_customer (customer_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS addresses (
    id         BIGINT NOT NULL PRIMARY KEY,
    domain_id  BIGINT NOT NULL,
    local_part VARCHAR(64) NOT NULL,
    kind       VARCHAR(64) NOT NULL,
    mailbox_id BIGINT NULL,
    alias_id   BIGINT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT addresses_unique UNIQUE (domain_id, local_part),
    KEY addresses_mailbox (mailbox_id),
    KEY addresses_alias (alias_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS mailboxes (
    id             BIGINT NOT NULL PRIMARY KEY,
    customer_id    BIGINT NOT NULL,
    domain_id      BIGINT NOT NULL,
    address        VARCHAR(320) NOT NULL,
    name           VARCHAR(255) NOT NULL DEFAULT '',
    folded         VARCHAR(768) NOT NULL DEFAULT '',
    password_hash  VARCHAR(255) NOT NULL,
    quota_bytes    BIGINT NOT NULL DEFAULT 0,
    quota_messages BIGINT NOT NULL DEFAULT 0,
    login_off      TINYINT NOT NULL DEFAULT 0,
    send_off       TINYINT NOT NULL DEFAULT 0,
    receive_off    TINYINT NOT NULL DEFAULT 0,
    reason         VARCHAR(255) NOT NULL DEFAULT '',
    switched_by    VARCHAR(64) NOT NULL DEFAULT '',
    held_at        BIGINT NOT NULL DEFAULT 0,
    held_reason    VARCHAR(255) NOT NULL DEFAULT '',
    held_by        VARCHAR(64) NOT NULL DEFAULT '',
    full_since     BIGINT NOT NULL DEFAULT 0,
    forward_only   TINYINT NOT NULL DEFAULT 0,
    language       VARCHAR(64) NOT NULL DEFAULT '',
    deleted_at     BIGINT NOT NULL DEFAULT 0,
    deleted_by     VARCHAR(320) NOT NULL DEFAULT '',
    purging        TINYINT NOT NULL DEFAULT 0,
    last_login_at  BIGINT NOT NULL DEFAULT 0,
    last_protocol  VARCHAR(64) NOT NULL DEFAULT '',
    logouts        BIGINT NOT NULL DEFAULT 0,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    password_at    BIGINT NOT NULL,
    KEY mailboxes_address (address),
    KEY mailboxes_customer (customer_id, deleted_at, address),
    KEY mailboxes_domain (domain_id, deleted_at, address),
    KEY mailboxes_bin (deleted_at, address),
    KEY mailboxes_held (deleted_at, held_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sessions (
    token_hash VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL DEFAULT 0,
    data       BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    KEY sessions_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS settings (
    name  VARCHAR(64) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
