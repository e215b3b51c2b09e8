-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere.
CREATE TABLE broadcasts (
  id character varying COLLATE "C" NOT NULL,
  room_id character varying COLLATE "C" NOT NULL,
  state bigint NOT NULL,
  title character varying COLLATE "C" NOT NULL DEFAULT '',
  started_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone NULL,
  peak_viewers bigint NOT NULL DEFAULT 0,
  messages bigint NOT NULL DEFAULT 0,
  likes bigint NOT NULL DEFAULT 0,
  message_epoch bigint NOT NULL DEFAULT 0,
  message_seq bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE INDEX broadcast_room_id_id ON broadcasts (room_id, id);
CREATE INDEX broadcast_state ON broadcasts (state);

CREATE TABLE rooms (
  id character varying COLLATE "C" NOT NULL,
  owner_id character varying COLLATE "C" NOT NULL,
  title character varying COLLATE "C" NOT NULL,
  title_folded character varying COLLATE "C" NOT NULL DEFAULT '',
  category_id character varying COLLATE "C" NOT NULL,
  conversation_id character varying COLLATE "C" NOT NULL,
  request_id character varying COLLATE "C" NOT NULL,
  key_hash bytea NULL,
  key_sealed bytea NULL,
  last_broadcast_id character varying COLLATE "C" NULL,
  cover_version bigint NOT NULL DEFAULT 0,
  cover_mode bigint NOT NULL DEFAULT 1,
  warning_id character varying COLLATE "C" NOT NULL DEFAULT '',
  warning_text character varying COLLATE "C" NOT NULL DEFAULT '',
  warned_at timestamp with time zone NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX room_owner_id_request_id ON rooms (owner_id, request_id);
CREATE UNIQUE INDEX room_key_hash ON rooms (key_hash);
CREATE INDEX room_category_id ON rooms (category_id);
