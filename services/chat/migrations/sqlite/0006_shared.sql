-- +goose Up
-- From which message on everybody in a conversation sees everything: what is older is not pushed to all. Members who hid
-- their history are counted with those who came later, which cannot be told apart here: it errs on the safe side, and only
-- for what is old. Nobody joins a direct or a system conversation later.
ALTER TABLE `conversations` ADD COLUMN `shared_from` integer NOT NULL DEFAULT (1);
UPDATE `conversations` SET `shared_from` =
  max(1, coalesce((SELECT max(m.`first_seq`) FROM `members` m WHERE m.`conversation_id` = `conversations`.`id`), 1))
WHERE `kind` = 3;
