-- +goose Up
-- Texts compare by their bytes, as ids and keys do everywhere: the database is sorted so. All of this can be repeated, for
-- MySQL cannot undo what was done of a migration that fails.
CREATE TABLE IF NOT EXISTS `persons` (
  `id` varchar(255) NOT NULL,
  `online_audience` bigint NOT NULL DEFAULT 1,
  `last_seen_audience` bigint NOT NULL DEFAULT 1,
  `last_seen_at` bigint NOT NULL DEFAULT 0,
  `platforms` bigint NOT NULL DEFAULT 0,
  `status_text` varchar(255) NOT NULL DEFAULT '',
  `status_emoji` varchar(255) NOT NULL DEFAULT '',
  `status_until` bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  INDEX `person_status_until` (`status_until`),
  INDEX `person_platforms` (`platforms`)
);
