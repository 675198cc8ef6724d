-- +goose Up
CREATE TABLE domain_pasts (
    customer_id INTEGER NOT NULL,
    name        TEXT NOT NULL,
    held_at     INTEGER NOT NULL DEFAULT 0,
    first_mx    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, name)
);

CREATE INDEX domain_pasts_name ON domain_pasts (name);

INSERT INTO domain_pasts (customer_id, name, held_at) SELECT customer_id, name, updated_at FROM domains WHERE active_name IS NOT NULL;
