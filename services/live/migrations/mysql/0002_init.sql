-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere: the database is sorted so. All of this can be repeated, for
-- MySQL cannot undo what was done of a migration that fails.
CREATE TABLE IF NOT EXISTS `broadcasts` (
  `id` varchar(255) NOT NULL,
  `room_id` varchar(255) NOT NULL,
  `state` bigint NOT NULL,
  `title` varchar(255) NOT NULL DEFAULT '',
  `started_at` datetime(6) NOT NULL,
  `ended_at` datetime(6) NULL,
  `peak_viewers` bigint NOT NULL DEFAULT 0,
  `messages` bigint NOT NULL DEFAULT 0,
  `likes` bigint NOT NULL DEFAULT 0,
  `message_epoch` bigint NOT NULL DEFAULT 0,
  `message_seq` bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  INDEX `broadcast_room_id_id` (`room_id`, `id`),
  INDEX `broadcast_state` (`state`)
);

CREATE TABLE IF NOT EXISTS `rooms` (
  `id` varchar(255) NOT NULL,
  `owner_id` varchar(255) NOT NULL,
  `title` varchar(255) NOT NULL,
  `title_folded` varchar(255) NOT NULL DEFAULT '',
  `category_id` varchar(255) NOT NULL,
  `conversation_id` varchar(255) NOT NULL,
  `request_id` varchar(255) NOT NULL,
  `key_hash` varbinary(32) NULL,
  `key_sealed` varbinary(512) NULL,
  `last_broadcast_id` varchar(255) NULL,
  `cover_version` bigint NOT NULL DEFAULT 0,
  `cover_mode` bigint NOT NULL DEFAULT 1,
  `warning_id` varchar(255) NOT NULL DEFAULT '',
  `warning_text` varchar(1000) NOT NULL DEFAULT '',
  `warned_at` datetime(6) NULL,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `room_owner_id_request_id` (`owner_id`, `request_id`),
  UNIQUE INDEX `room_key_hash` (`key_hash`),
  INDEX `room_category_id` (`category_id`)
);
