-- +goose Up
CREATE TABLE certificates (
    name       TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL,
    size       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
