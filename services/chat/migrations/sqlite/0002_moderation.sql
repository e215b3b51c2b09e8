-- +goose Up
ALTER TABLE `messages` ADD COLUMN `deleted` bool NOT NULL DEFAULT (false);
ALTER TABLE `outboxes` ADD COLUMN `deletion` bool NOT NULL DEFAULT (false);

CREATE TABLE `mutes` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `user_id` text NOT NULL,
  `conversation_id` text NOT NULL DEFAULT (''),
  `reason` text NOT NULL DEFAULT (''),
  `until` datetime NULL,
  `created_at` datetime NOT NULL
);
CREATE UNIQUE INDEX `mute_user_id_conversation_id` ON `mutes` (`user_id`, `conversation_id`);
