-- +goose Up
CREATE TABLE mtasts_policies (
    domain     TEXT NOT NULL PRIMARY KEY,
    policy_id  TEXT NOT NULL,
    mode       TEXT NOT NULL,
    mx         TEXT NOT NULL,
    max_age    INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    refresh_at INTEGER NOT NULL
);

CREATE INDEX mtasts_policies_refresh ON mtasts_policies (refresh_at);

CREATE INDEX mtasts_policies_expires ON mtasts_policies (expires_at);
