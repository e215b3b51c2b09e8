-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere: the database is sorted so. All of this can be repeated, for
-- MySQL cannot undo what was done of a migration that fails.
CREATE TABLE IF NOT EXISTS `conversations` (
  `id` varchar(255) NOT NULL,
  `kind` bigint NOT NULL,
  `owner_id` varchar(255) NOT NULL,
  `epoch` bigint NOT NULL DEFAULT 1,
  `last_seq` bigint NOT NULL DEFAULT 0,
  `likes` bigint NOT NULL DEFAULT 0,
  `created_at` datetime(6) NOT NULL,
  `version` bigint NOT NULL DEFAULT 0,
  `last_change` bigint NOT NULL DEFAULT 0,
  `shared_from` bigint NOT NULL DEFAULT 1,
  `member_version` bigint NOT NULL DEFAULT 0,
  `member_count` bigint NOT NULL DEFAULT 0,
  `title` varchar(255) NOT NULL DEFAULT '',
  `avatar_url` varchar(2000) NOT NULL DEFAULT '',
  `announcement` varchar(5000) NOT NULL DEFAULT '',
  `history` bigint NOT NULL DEFAULT 0,
  `join_policy` bigint NOT NULL DEFAULT 0,
  `muted_all` bool NOT NULL DEFAULT false,
  `disbanded` bool NOT NULL DEFAULT false,
  `unique_key` varchar(255) NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `unique_key` (`unique_key`),
  INDEX `conversation_owner_id` (`owner_id`)
);

CREATE TABLE IF NOT EXISTS `counters` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `number` bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
);

CREATE TABLE IF NOT EXISTS `erasures` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `erasure_conversation_id_seq` (`conversation_id`, `seq`)
);

CREATE TABLE IF NOT EXISTS `group_bans` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  `reason` varchar(255) NOT NULL DEFAULT '',
  `banned_at` bigint NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `groupban_conversation_id_user_id` (`conversation_id`, `user_id`)
);

CREATE TABLE IF NOT EXISTS `hiddens` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  `change` bigint NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `hidden_conversation_id_user_id_seq` (`conversation_id`, `user_id`, `seq`),
  INDEX `hidden_conversation_id_user_id_change` (`conversation_id`, `user_id`, `change`)
);

CREATE TABLE IF NOT EXISTS `members` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  `role` bigint NOT NULL,
  `joined_at` bigint NOT NULL,
  `first_seq` bigint NOT NULL DEFAULT 1,
  `cleared_seq` bigint NOT NULL DEFAULT 0,
  `read_seq` bigint NOT NULL DEFAULT 0,
  `delivered_seq` bigint NOT NULL DEFAULT 0,
  `hidden_change` bigint NOT NULL DEFAULT 0,
  `muted_until` bigint NOT NULL DEFAULT 0,
  `silent` bool NOT NULL DEFAULT false,
  `pinned` bool NOT NULL DEFAULT false,
  `archived` bool NOT NULL DEFAULT false,
  `member_version` bigint NOT NULL DEFAULT 0,
  `version` bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `member_conversation_id_user_id` (`conversation_id`, `user_id`),
  INDEX `member_user_id` (`user_id`),
  INDEX `member_conversation_id_member_version` (`conversation_id`, `member_version`),
  INDEX `member_conversation_id_role_joined_at` (`conversation_id`, `role`, `joined_at`)
);

CREATE TABLE IF NOT EXISTS `mentions` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `mention_conversation_id_user_id_seq` (`conversation_id`, `user_id`, `seq`)
);

CREATE TABLE IF NOT EXISTS `mutes` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `user_id` varchar(255) NOT NULL,
  `conversation_id` varchar(255) NOT NULL DEFAULT '',
  `reason` varchar(255) NOT NULL DEFAULT '',
  `until` datetime(6) NULL,
  `created_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `mute_user_id_conversation_id` (`user_id`, `conversation_id`)
);

CREATE TABLE IF NOT EXISTS `outboxes` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL DEFAULT '',
  `first_seq` bigint NOT NULL DEFAULT 0,
  `last_seq` bigint NOT NULL DEFAULT 0,
  `user_id` varchar(255) NOT NULL DEFAULT '',
  `events` longblob NULL,
  `claimed_by` varchar(255) NOT NULL,
  `claimed_until` bigint NOT NULL,
  PRIMARY KEY (`id`),
  INDEX `outbox_claimed_until` (`claimed_until`)
);

CREATE TABLE IF NOT EXISTS `pins` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `pin_conversation_id_seq` (`conversation_id`, `seq`)
);

CREATE TABLE IF NOT EXISTS `reactions` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `conversation_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  `key` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `reaction_conversation_id_seq_key_user_id` (`conversation_id`, `seq`, `key`, `user_id`)
);

-- What changes rarely is in one body: a stoa.chat.v1.Message. Clients choose ids that grow with time: in the order of the
-- unique index those of all conversations come to lie side by side.
CREATE TABLE IF NOT EXISTS `messages` (
  `conversation_id` varchar(255) NOT NULL,
  `seq` bigint NOT NULL,
  `sender_id` varchar(255) NOT NULL,
  `client_msg_id` varchar(255) NOT NULL,
  `body` longblob NOT NULL,
  `sent_at` bigint NOT NULL,
  `deleted` bool NOT NULL DEFAULT false,
  `change` bigint NOT NULL DEFAULT 0,
  `quoted_seq` bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (`conversation_id`, `seq`),
  UNIQUE INDEX `message_client_msg_id_sender_id_conversation_id` (`client_msg_id`, `sender_id`, `conversation_id`),
  INDEX `message_conversation_id_change` (`conversation_id`, `change`),
  INDEX `message_conversation_id_quoted_seq` (`conversation_id`, `quoted_seq`)
);

INSERT IGNORE INTO `counters` (`id`, `number`) VALUES (1, 0);
