-- +goose Up
CREATE TABLE `sites` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `name` text NOT NULL,
  `announcement` text NOT NULL,
  `sign_up_enabled` bool NOT NULL,
  `room_creation_enabled` bool NOT NULL
);
INSERT INTO `sites` (`id`, `name`, `announcement`, `sign_up_enabled`, `room_creation_enabled`) VALUES (1, 'Stoa', '', true, true);
