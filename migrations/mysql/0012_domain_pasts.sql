-- +goose Up
CREATE TABLE IF NOT EXISTS domain_pasts (
    customer_id BIGINT NOT NULL,
    name        VARCHAR(255) NOT NULL,
    held_at     BIGINT NOT NULL DEFAULT 0,
    first_mx    VARCHAR(64) NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, name),
    KEY domain_pasts_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO domain_pasts (customer_id, name, held_at) SELECT customer_id, name, updated_at FROM domains WHERE active_name IS NOT NULL;
