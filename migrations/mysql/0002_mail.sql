-- +goose Up
CREATE TABLE IF NOT EXISTS mailbox_state (
    mailbox_id  BIGINT NOT NULL PRIMARY KEY,
    bytes       BIGINT NOT NULL DEFAULT 0,
    messages    BIGINT NOT NULL DEFAULT 0,
    modseq      BIGINT NOT NULL DEFAULT 1,
    uidvalidity BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS folders (
    id             BIGINT NOT NULL PRIMARY KEY,
    mailbox_id     BIGINT NOT NULL,
    name           VARCHAR(255) NOT NULL,
    special_use    VARCHAR(64) NOT NULL DEFAULT '',
    uidvalidity    BIGINT NOT NULL,
    uidnext        BIGINT NOT NULL DEFAULT 1,
    highestmodseq  BIGINT NOT NULL DEFAULT 1,
    messages       BIGINT NOT NULL DEFAULT 0,
    unseen         BIGINT NOT NULL DEFAULT 0,
    deleted        BIGINT NOT NULL DEFAULT 0,
    bytes          BIGINT NOT NULL DEFAULT 0,
    subscribed     TINYINT NOT NULL DEFAULT 1,
    keywords       TEXT NOT NULL,
    vanished_floor BIGINT NOT NULL DEFAULT 0,
    recent_from    BIGINT NOT NULL DEFAULT 1,
    created_at     BIGINT NOT NULL,
    CONSTRAINT folders_name UNIQUE (mailbox_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS messages (
    folder_id     BIGINT NOT NULL,
    uid           BIGINT NOT NULL,
    modseq        BIGINT NOT NULL,
    flags         BIGINT NOT NULL DEFAULT 0,
    keywords      BIGINT NOT NULL DEFAULT 0,
    internal_date BIGINT NOT NULL,
    save_date     BIGINT NOT NULL,
    size          BIGINT NOT NULL,
    email_id      BIGINT NOT NULL,
    blob_id       BIGINT NOT NULL,
    prefix        VARBINARY(1024) NOT NULL,
    PRIMARY KEY (folder_id, uid),
    KEY messages_modseq (folder_id, modseq),
    KEY messages_blob (blob_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS expunged (
    folder_id BIGINT NOT NULL,
    modseq    BIGINT NOT NULL,
    uid_first BIGINT NOT NULL,
    uid_last  BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (folder_id, modseq, uid_first),
    KEY expunged_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS blobs (
    id         BIGINT NOT NULL PRIMARY KEY,
    driver     VARCHAR(64) NOT NULL,
    node       BIGINT NOT NULL,
    segment    VARCHAR(64) NOT NULL,
    position   BIGINT NOT NULL,
    length     BIGINT NOT NULL,
    refs       BIGINT NOT NULL,
    state      BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    KEY blobs_segment (segment, length),
    KEY blobs_state (state)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS contents (
    blob_id      BIGINT NOT NULL PRIMARY KEY,
    version      BIGINT NOT NULL,
    envelope     MEDIUMBLOB NOT NULL,
    structure    MEDIUMBLOB NULL,
    preview      TEXT NOT NULL,
    base_subject TEXT NOT NULL,
    sent_date    BIGINT NOT NULL,
    sent_zone    BIGINT NOT NULL,
    message_id   TEXT NOT NULL,
    reference_ids MEDIUMTEXT NOT NULL,
    thread_id    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
