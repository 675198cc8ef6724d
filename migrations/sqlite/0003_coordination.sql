-- +goose Up
CREATE TABLE nodes (
    number     INTEGER NOT NULL PRIMARY KEY,
    process    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    host       TEXT NOT NULL,
    folder     TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE streams (
    stream     INTEGER NOT NULL PRIMARY KEY,
    process    INTEGER NOT NULL,
    started_at INTEGER NOT NULL
);

CREATE TABLE changes (
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    items  TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;

CREATE TABLE leases (
    name       TEXT NOT NULL PRIMARY KEY,
    owner      INTEGER NOT NULL,
    token      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
