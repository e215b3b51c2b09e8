-- +goose Up
CREATE TABLE `audit_entries` (
  `id` text NOT NULL,
  `at` datetime NOT NULL,
  `actor_id` text NOT NULL,
  `action` text NOT NULL,
  `target_id` text NOT NULL,
  `detail` text NOT NULL,
  `error` text NOT NULL,
  PRIMARY KEY (`id`)
);
CREATE INDEX `auditentry_actor_id_id` ON `audit_entries` (`actor_id`, `id`);
CREATE INDEX `auditentry_target_id_id` ON `audit_entries` (`target_id`, `id`);
