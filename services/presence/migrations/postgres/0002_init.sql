-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere.
CREATE TABLE persons (
  id character varying COLLATE "C" NOT NULL,
  online_audience bigint NOT NULL DEFAULT 1,
  last_seen_audience bigint NOT NULL DEFAULT 1,
  last_seen_at bigint NOT NULL DEFAULT 0,
  platforms bigint NOT NULL DEFAULT 0,
  status_text character varying COLLATE "C" NOT NULL DEFAULT '',
  status_emoji character varying COLLATE "C" NOT NULL DEFAULT '',
  status_until bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE INDEX person_status_until ON persons (status_until);
CREATE INDEX person_platforms ON persons (platforms) WHERE platforms <> 0;
