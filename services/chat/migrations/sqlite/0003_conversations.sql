-- +goose Up
-- Conversations have facts and members, messages change and are found by their place alone.
ALTER TABLE `conversations` ADD COLUMN `version` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `last_change` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `member_version` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `member_count` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `title` text NOT NULL DEFAULT ('');
ALTER TABLE `conversations` ADD COLUMN `avatar_url` text NOT NULL DEFAULT ('');
ALTER TABLE `conversations` ADD COLUMN `announcement` text NOT NULL DEFAULT ('');
ALTER TABLE `conversations` ADD COLUMN `history` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `join_policy` integer NOT NULL DEFAULT (0);
ALTER TABLE `conversations` ADD COLUMN `muted_all` bool NOT NULL DEFAULT (false);
ALTER TABLE `conversations` ADD COLUMN `disbanded` bool NOT NULL DEFAULT (false);
ALTER TABLE `conversations` ADD COLUMN `unique_key` text NULL;
CREATE UNIQUE INDEX `conversations_unique_key_key` ON `conversations` (`unique_key`);

CREATE TABLE `counters` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `number` integer NOT NULL DEFAULT (0)
);
INSERT INTO `counters` (`id`, `number`) VALUES (1, 0);

CREATE TABLE `members` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `user_id` text NOT NULL,
  `role` integer NOT NULL,
  `joined_at` integer NOT NULL,
  `first_seq` integer NOT NULL DEFAULT (1),
  `read_seq` integer NOT NULL DEFAULT (0),
  `delivered_seq` integer NOT NULL DEFAULT (0),
  `hidden_change` integer NOT NULL DEFAULT (0),
  `muted_until` integer NOT NULL DEFAULT (0),
  `silent` bool NOT NULL DEFAULT (false),
  `pinned` bool NOT NULL DEFAULT (false),
  `archived` bool NOT NULL DEFAULT (false),
  `member_version` integer NOT NULL DEFAULT (0),
  `version` integer NOT NULL DEFAULT (0)
);
CREATE UNIQUE INDEX `member_conversation_id_user_id` ON `members` (`conversation_id`, `user_id`);
CREATE INDEX `member_user_id` ON `members` (`user_id`);
CREATE INDEX `member_conversation_id_member_version` ON `members` (`conversation_id`, `member_version`);
CREATE INDEX `member_conversation_id_role` ON `members` (`conversation_id`, `role`);

CREATE TABLE `reactions` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `seq` integer NOT NULL,
  `key` text NOT NULL,
  `user_id` text NOT NULL
);
CREATE UNIQUE INDEX `reaction_conversation_id_seq_key_user_id`
  ON `reactions` (`conversation_id`, `seq`, `key`, `user_id`);

CREATE TABLE `pins` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `seq` integer NOT NULL
);
CREATE UNIQUE INDEX `pin_conversation_id_seq` ON `pins` (`conversation_id`, `seq`);

CREATE TABLE `hiddens` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `user_id` text NOT NULL,
  `seq` integer NOT NULL,
  `change` integer NOT NULL
);
CREATE UNIQUE INDEX `hidden_conversation_id_user_id_seq` ON `hiddens` (`conversation_id`, `user_id`, `seq`);
CREATE INDEX `hidden_conversation_id_user_id_change` ON `hiddens` (`conversation_id`, `user_id`, `change`);

CREATE TABLE `mentions` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `user_id` text NOT NULL,
  `seq` integer NOT NULL
);
CREATE UNIQUE INDEX `mention_conversation_id_user_id_seq` ON `mentions` (`conversation_id`, `user_id`, `seq`);

CREATE TABLE `group_bans` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `user_id` text NOT NULL,
  `reason` text NOT NULL DEFAULT (''),
  `banned_at` integer NOT NULL
);
CREATE UNIQUE INDEX `groupban_conversation_id_user_id` ON `group_bans` (`conversation_id`, `user_id`);

-- Messages lie in the order in which they are read. What changes rarely is in one body: a stoa.chat.v1.Message with the
-- sender in field 4 and the content in field 5, whose lengths are varints.
CREATE TABLE `placed` (
  `conversation_id` text NOT NULL,
  `seq` integer NOT NULL,
  `sender_id` text NOT NULL,
  `client_msg_id` text NOT NULL,
  `body` blob NOT NULL,
  `sent_at` integer NOT NULL,
  `deleted` bool NOT NULL DEFAULT (false),
  `change` integer NOT NULL DEFAULT (0),
  PRIMARY KEY (`conversation_id`, `seq`)
) WITHOUT ROWID;
INSERT INTO `placed` (`conversation_id`, `seq`, `sender_id`, `client_msg_id`, `body`, `sent_at`, `deleted`)
  SELECT `conversation_id`, `seq`, `sender_id`, `client_msg_id`,
    CASE WHEN `deleted` THEN x'' ELSE unhex(
      '22' || CASE WHEN length(`sender`) < 128 THEN printf('%02x', length(`sender`))
        ELSE printf('%02x%02x', (length(`sender`) & 127) | 128, length(`sender`) >> 7) END || hex(`sender`) ||
      '2a' || CASE WHEN length(`content`) < 128 THEN printf('%02x', length(`content`))
        ELSE printf('%02x%02x', (length(`content`) & 127) | 128, length(`content`) >> 7) END || hex(`content`)) END,
    `sent_at`, `deleted`
  FROM `messages` ORDER BY `conversation_id`, `seq`;
DROP TABLE `messages`;
ALTER TABLE `placed` RENAME TO `messages`;
CREATE UNIQUE INDEX `message_conversation_id_sender_id_client_msg_id`
  ON `messages` (`conversation_id`, `sender_id`, `client_msg_id`);
CREATE INDEX `message_conversation_id_change` ON `messages` (`conversation_id`, `change`) WHERE `change` > 0;

-- An outbox row is a run of new messages, or other events of a conversation or a user in encoded form. What was published
-- by the process before is told to nobody any more: it stopped, and its subscribers with it.
DROP TABLE `outboxes`;
CREATE TABLE `outboxes` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL DEFAULT (''),
  `first_seq` integer NOT NULL DEFAULT (0),
  `last_seq` integer NOT NULL DEFAULT (0),
  `user_id` text NOT NULL DEFAULT (''),
  `events` blob NULL,
  `claimed_by` text NOT NULL,
  `claimed_until` integer NOT NULL
);
CREATE INDEX `outbox_claimed_until` ON `outboxes` (`claimed_until`);
