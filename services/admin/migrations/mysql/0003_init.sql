-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere: the database is sorted so. All of this can be repeated, for
-- MySQL cannot undo what was done of a migration that fails.
CREATE TABLE IF NOT EXISTS `audit_entries` (
  `id` varchar(255) NOT NULL,
  `at` datetime(6) NOT NULL,
  `actor_id` varchar(255) NOT NULL,
  `actor_name` varchar(255) NOT NULL DEFAULT '',
  `action` varchar(255) NOT NULL,
  `target_id` varchar(255) NOT NULL,
  `target_name` varchar(255) NOT NULL DEFAULT '',
  `detail` varchar(2000) NOT NULL,
  `error` varchar(1000) NOT NULL,
  PRIMARY KEY (`id`),
  INDEX `auditentry_actor_id_id` (`actor_id`, `id`),
  INDEX `auditentry_target_id_id` (`target_id`, `id`),
  INDEX `auditentry_action_id` (`action`, `id`)
);

CREATE TABLE IF NOT EXISTS `sites` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `announcement` varchar(1000) NOT NULL,
  `sign_up_enabled` bool NOT NULL,
  `room_creation_enabled` bool NOT NULL,
  PRIMARY KEY (`id`)
);

INSERT IGNORE INTO sites (id, name, announcement, sign_up_enabled, room_creation_enabled) VALUES (1, 'Stoa', '', true, true);
