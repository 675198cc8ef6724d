-- +goose Up
CREATE TABLE links_sent (
    id          INTEGER NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    address     TEXT NOT NULL,
    sent_at     INTEGER NOT NULL
);

CREATE INDEX links_sent_customer ON links_sent (customer_id, sent_at);

CREATE INDEX links_sent_address ON links_sent (address, sent_at);
