-- +goose Up
ALTER TABLE `persons` ADD COLUMN `platforms` integer NOT NULL DEFAULT (0);
CREATE INDEX `person_platforms` ON `persons` (`platforms`) WHERE platforms <> 0;
