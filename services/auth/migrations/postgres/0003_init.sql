-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere.
CREATE TABLE devices (
  id character varying COLLATE "C" NOT NULL,
  platform bigint NOT NULL,
  model character varying COLLATE "C" NOT NULL,
  app_version character varying COLLATE "C" NOT NULL,
  user_id character varying COLLATE "C" NULL,
  created_at timestamp with time zone NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX device_user_id_created_at ON devices (user_id, created_at);

CREATE TABLE sessions (
  id character varying COLLATE "C" NOT NULL,
  user_id character varying COLLATE "C" NOT NULL,
  device_id character varying COLLATE "C" NOT NULL,
  family_hash bytea NULL,
  token_hash bytea NULL,
  former_hash bytea NULL,
  replaced_at timestamp with time zone NULL,
  created_at timestamp with time zone NOT NULL,
  refreshed_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  revoked_at timestamp with time zone NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX session_family_hash ON sessions (family_hash);
CREATE INDEX session_user_id_refreshed_at ON sessions (user_id, refreshed_at);
CREATE INDEX session_device_id ON sessions (device_id);
CREATE INDEX session_revoked_at ON sessions (revoked_at);
CREATE INDEX session_expires_at ON sessions (expires_at);

CREATE TABLE signing_keys (
  id character varying COLLATE "C" NOT NULL,
  serial bigint NOT NULL,
  seed bytea NOT NULL,
  created_at timestamp with time zone NOT NULL,
  active_at timestamp with time zone NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX signingkey_serial ON signing_keys (serial);

CREATE TABLE users (
  id character varying COLLATE "C" NOT NULL,
  username character varying COLLATE "C" NULL,
  nickname character varying COLLATE "C" NOT NULL,
  nickname_folded character varying COLLATE "C" NOT NULL DEFAULT '',
  avatar_url character varying COLLATE "C" NOT NULL DEFAULT '',
  role bigint NOT NULL,
  password_hash character varying COLLATE "C" NULL,
  banned_at timestamp with time zone NULL,
  ban_until timestamp with time zone NULL,
  ban_reason character varying COLLATE "C" NOT NULL DEFAULT '',
  guest_seen_at timestamp with time zone NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX user_username ON users (username);
CREATE INDEX user_role ON users (role);
CREATE INDEX user_banned_at ON users (banned_at);
CREATE INDEX user_guest_seen_at ON users (guest_seen_at);
