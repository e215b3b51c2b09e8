-- +goose Up
CREATE TABLE `conversations` (
  `id` text NOT NULL,
  `kind` integer NOT NULL,
  `owner_id` text NOT NULL,
  `epoch` integer NOT NULL DEFAULT (1),
  `last_seq` integer NOT NULL DEFAULT (0),
  `likes` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);

CREATE TABLE `messages` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `seq` integer NOT NULL,
  `sender_id` text NOT NULL,
  `client_msg_id` text NOT NULL,
  `sender` blob NOT NULL,
  `content` blob NOT NULL,
  `sent_at` integer NOT NULL
);
CREATE UNIQUE INDEX `message_conversation_id_seq` ON `messages` (`conversation_id`, `seq`);
CREATE UNIQUE INDEX `message_conversation_id_sender_id_client_msg_id`
  ON `messages` (`conversation_id`, `sender_id`, `client_msg_id`);

CREATE TABLE `outboxes` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `first_seq` integer NOT NULL,
  `last_seq` integer NOT NULL,
  `claimed_by` text NOT NULL,
  `claimed_until` integer NOT NULL
);
CREATE INDEX `outbox_claimed_until` ON `outboxes` (`claimed_until`);
