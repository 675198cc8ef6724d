-- +goose Up
CREATE TABLE IF NOT EXISTS links_sent (
    id          BIGINT NOT NULL PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    address     VARCHAR(320) NOT NULL,
    sent_at     BIGINT NOT NULL,
    KEY links_sent_customer (customer_id, sent_at),
    KEY links_sent_address (address, sent_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
