-- +goose Up
-- Entries from before have no names: what people and rooms are called now is not what they were called then.
ALTER TABLE `audit_entries` ADD COLUMN `actor_name` text NOT NULL DEFAULT '';
ALTER TABLE `audit_entries` ADD COLUMN `target_name` text NOT NULL DEFAULT '';
CREATE INDEX `auditentry_action_id` ON `audit_entries` (`action`, `id`);
