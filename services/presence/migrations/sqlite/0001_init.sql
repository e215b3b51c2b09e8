-- +goose Up
CREATE TABLE `persons` (
  `id` text NOT NULL,
  `online_audience` integer NOT NULL DEFAULT (1),
  `last_seen_audience` integer NOT NULL DEFAULT (1),
  `last_seen_at` integer NOT NULL DEFAULT (0),
  `status_text` text NOT NULL DEFAULT (''),
  `status_emoji` text NOT NULL DEFAULT (''),
  `status_until` integer NOT NULL DEFAULT (0),
  PRIMARY KEY (`id`)
);
CREATE INDEX `person_status_until` ON `persons` (`status_until`);
