-- +goose Up
ALTER TABLE `rooms` ADD COLUMN `title_folded` text NOT NULL DEFAULT ('');
ALTER TABLE `rooms` ADD COLUMN `key_sealed` blob NULL;
ALTER TABLE `rooms` ADD COLUMN `cover_mode` integer NOT NULL DEFAULT (1);
ALTER TABLE `rooms` ADD COLUMN `warning_id` text NOT NULL DEFAULT ('');
ALTER TABLE `rooms` ADD COLUMN `warning_text` text NOT NULL DEFAULT ('');
ALTER TABLE `rooms` ADD COLUMN `warned_at` datetime NULL;
ALTER TABLE `broadcasts` ADD COLUMN `title` text NOT NULL DEFAULT ('');
ALTER TABLE `broadcasts` ADD COLUMN `peak_viewers` integer NOT NULL DEFAULT (0);
ALTER TABLE `broadcasts` ADD COLUMN `messages` integer NOT NULL DEFAULT (0);
ALTER TABLE `broadcasts` ADD COLUMN `likes` integer NOT NULL DEFAULT (0);
ALTER TABLE `broadcasts` ADD COLUMN `message_epoch` integer NOT NULL DEFAULT (0);
ALTER TABLE `broadcasts` ADD COLUMN `message_seq` integer NOT NULL DEFAULT (0);
-- What a room is called now is the best that is known of former broadcasts.
UPDATE `broadcasts` SET `title` = coalesce((SELECT `title` FROM `rooms` WHERE `rooms`.`id` = `broadcasts`.`room_id`), '');
