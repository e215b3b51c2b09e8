-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere: the database is sorted so. All of this can be repeated, for
-- MySQL cannot undo what was done of a migration that fails.
CREATE TABLE IF NOT EXISTS `devices` (
  `id` varchar(255) NOT NULL,
  `platform` bigint NOT NULL,
  `model` varchar(255) NOT NULL,
  `app_version` varchar(255) NOT NULL,
  `user_id` varchar(255) NULL,
  `created_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  INDEX `device_user_id_created_at` (`user_id`, `created_at`)
);

CREATE TABLE IF NOT EXISTS `sessions` (
  `id` varchar(255) NOT NULL,
  `user_id` varchar(255) NOT NULL,
  `device_id` varchar(255) NOT NULL,
  `family_hash` varbinary(32) NULL,
  `token_hash` varbinary(32) NULL,
  `former_hash` varbinary(32) NULL,
  `replaced_at` datetime(6) NULL,
  `created_at` datetime(6) NOT NULL,
  `refreshed_at` datetime(6) NOT NULL,
  `expires_at` datetime(6) NOT NULL,
  `revoked_at` datetime(6) NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `session_family_hash` (`family_hash`),
  INDEX `session_user_id_refreshed_at` (`user_id`, `refreshed_at`),
  INDEX `session_device_id` (`device_id`),
  INDEX `session_revoked_at` (`revoked_at`),
  INDEX `session_expires_at` (`expires_at`)
);

CREATE TABLE IF NOT EXISTS `signing_keys` (
  `id` varchar(255) NOT NULL,
  `serial` bigint NOT NULL,
  `seed` varbinary(64) NOT NULL,
  `created_at` datetime(6) NOT NULL,
  `active_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `signingkey_serial` (`serial`)
);

CREATE TABLE IF NOT EXISTS `users` (
  `id` varchar(255) NOT NULL,
  `username` varchar(255) NULL,
  `nickname` varchar(255) NOT NULL,
  `nickname_folded` varchar(255) NOT NULL DEFAULT '',
  `avatar_url` varchar(2000) NOT NULL DEFAULT '',
  `role` bigint NOT NULL,
  `password_hash` varchar(255) NULL,
  `banned_at` datetime(6) NULL,
  `ban_until` datetime(6) NULL,
  `ban_reason` varchar(1000) NOT NULL DEFAULT '',
  `guest_seen_at` datetime(6) NULL,
  `created_at` datetime(6) NOT NULL,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE INDEX `user_username` (`username`),
  INDEX `user_role` (`role`),
  INDEX `user_banned_at` (`banned_at`),
  INDEX `user_guest_seen_at` (`guest_seen_at`)
);
