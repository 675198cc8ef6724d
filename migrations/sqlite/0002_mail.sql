-- +goose Up
CREATE TABLE mailbox_state (
    mailbox_id  INTEGER NOT NULL PRIMARY KEY,
    bytes       INTEGER NOT NULL DEFAULT 0,
    messages    INTEGER NOT NULL DEFAULT 0,
    modseq      INTEGER NOT NULL DEFAULT 1,
    uidvalidity INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE folders (
    id             INTEGER NOT NULL PRIMARY KEY,
    mailbox_id     INTEGER NOT NULL,
    name           TEXT NOT NULL,
    special_use    TEXT NOT NULL DEFAULT '',
    uidvalidity    INTEGER NOT NULL,
    uidnext        INTEGER NOT NULL DEFAULT 1,
    highestmodseq  INTEGER NOT NULL DEFAULT 1,
    messages       INTEGER NOT NULL DEFAULT 0,
    unseen         INTEGER NOT NULL DEFAULT 0,
    deleted        INTEGER NOT NULL DEFAULT 0,
    bytes          INTEGER NOT NULL DEFAULT 0,
    subscribed     INTEGER NOT NULL DEFAULT 1,
    keywords       TEXT NOT NULL,
    vanished_floor INTEGER NOT NULL DEFAULT 0,
    recent_from    INTEGER NOT NULL DEFAULT 1,
    created_at     INTEGER NOT NULL,
    CONSTRAINT folders_name UNIQUE (mailbox_id, name)
);

CREATE TABLE messages (
    folder_id     INTEGER NOT NULL,
    uid           INTEGER NOT NULL,
    modseq        INTEGER NOT NULL,
    flags         INTEGER NOT NULL DEFAULT 0,
    keywords      INTEGER NOT NULL DEFAULT 0,
    internal_date INTEGER NOT NULL,
    save_date     INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    email_id      INTEGER NOT NULL,
    blob_id       INTEGER NOT NULL,
    prefix        BLOB NOT NULL,
    PRIMARY KEY (folder_id, uid)
) WITHOUT ROWID;

CREATE INDEX messages_modseq ON messages (folder_id, modseq);

CREATE INDEX messages_blob ON messages (blob_id);

CREATE TABLE expunged (
    folder_id INTEGER NOT NULL,
    modseq    INTEGER NOT NULL,
    uid_first INTEGER NOT NULL,
    uid_last  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (folder_id, modseq, uid_first)
) WITHOUT ROWID;

CREATE INDEX expunged_at ON expunged (at);

CREATE TABLE blobs (
    id         INTEGER NOT NULL PRIMARY KEY,
    driver     TEXT NOT NULL,
    node       INTEGER NOT NULL,
    segment    TEXT NOT NULL,
    position   INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    refs       INTEGER NOT NULL,
    state      INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

CREATE INDEX blobs_segment ON blobs (segment, length);

CREATE INDEX blobs_state ON blobs (state) WHERE state = 1;

CREATE TABLE contents (
    blob_id      INTEGER NOT NULL PRIMARY KEY,
    version      INTEGER NOT NULL,
    envelope     BLOB NOT NULL,
    structure    BLOB NULL,
    preview      TEXT NOT NULL,
    base_subject TEXT NOT NULL,
    sent_date    INTEGER NOT NULL,
    sent_zone    INTEGER NOT NULL,
    message_id   TEXT NOT NULL,
    reference_ids TEXT NOT NULL,
    thread_id    INTEGER NOT NULL
);
