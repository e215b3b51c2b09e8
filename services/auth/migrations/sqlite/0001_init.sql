-- +goose Up
CREATE TABLE users (
    id            text     NOT NULL,
    username      text     NULL,
    nickname      text     NOT NULL,
    avatar_url    text     NOT NULL DEFAULT (''),
    role          integer  NOT NULL,
    password_hash text     NULL,
    banned_at     datetime NULL,
    ban_until     datetime NULL,
    ban_reason    text     NOT NULL DEFAULT (''),
    guest_seen_at datetime NULL,
    created_at    datetime NOT NULL,
    updated_at    datetime NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX user_username ON users (username);
CREATE INDEX user_banned_at ON users (banned_at);
CREATE INDEX user_guest_seen_at ON users (guest_seen_at);

CREATE TABLE devices (
    id          text     NOT NULL,
    platform    integer  NOT NULL,
    model       text     NOT NULL,
    app_version text     NOT NULL,
    user_id     text     NULL,
    created_at  datetime NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX device_user_id_created_at ON devices (user_id, created_at);

CREATE TABLE sessions (
    id           text     NOT NULL,
    user_id      text     NOT NULL,
    device_id    text     NOT NULL,
    family_hash  blob     NULL,
    token_hash   blob     NULL,
    former_hash  blob     NULL,
    replaced_at  datetime NULL,
    created_at   datetime NOT NULL,
    refreshed_at datetime NOT NULL,
    expires_at   datetime NOT NULL,
    revoked_at   datetime NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX session_family_hash ON sessions (family_hash);
CREATE INDEX session_user_id_refreshed_at ON sessions (user_id, refreshed_at);
CREATE INDEX session_device_id ON sessions (device_id);
CREATE INDEX session_revoked_at ON sessions (revoked_at);
CREATE INDEX session_expires_at ON sessions (expires_at);

CREATE TABLE signing_keys (
    id         text     NOT NULL,
    serial     integer  NOT NULL,
    seed       blob     NOT NULL,
    created_at datetime NOT NULL,
    active_at  datetime NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX signingkey_serial ON signing_keys (serial);
