-- +goose Up
CREATE TABLE `rooms` (
  `id` text NOT NULL,
  `owner_id` text NOT NULL,
  `title` text NOT NULL,
  `category_id` text NOT NULL,
  `conversation_id` text NOT NULL,
  `request_id` text NOT NULL,
  `key_hash` blob NULL,
  `last_broadcast_id` text NULL,
  `cover_version` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
CREATE UNIQUE INDEX `room_owner_id_request_id` ON `rooms` (`owner_id`, `request_id`);
CREATE UNIQUE INDEX `room_key_hash` ON `rooms` (`key_hash`);
CREATE INDEX `room_category_id` ON `rooms` (`category_id`);
CREATE TABLE `broadcasts` (
  `id` text NOT NULL,
  `room_id` text NOT NULL,
  `state` integer NOT NULL,
  `started_at` datetime NOT NULL,
  `ended_at` datetime NULL,
  PRIMARY KEY (`id`)
);
CREATE INDEX `broadcast_room_id_id` ON `broadcasts` (`room_id`, `id`);
CREATE INDEX `broadcast_state` ON `broadcasts` (`state`);
