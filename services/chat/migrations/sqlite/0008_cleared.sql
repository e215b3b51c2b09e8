-- +goose Up
-- From when on somebody is in a conversation, and up to where they cleared it for themselves, are two things: first_seq
-- was both. Nobody joins a direct or a system conversation later. In a group, whoever may not see a message that was sent
-- after they joined has cleared it; they joined after the last one that was sent no later than that. Who cleared what
-- lies before their join cleared nothing that they saw.
ALTER TABLE `members` ADD COLUMN `cleared_seq` integer NOT NULL DEFAULT (0);
UPDATE `members` SET `cleared_seq` = `first_seq` - 1, `first_seq` = 1
WHERE `first_seq` > 1 AND `conversation_id` IN (SELECT `id` FROM `conversations` WHERE `kind` IN (2, 4));
UPDATE `members` SET `cleared_seq` = `first_seq` - 1, `first_seq` = 1 + coalesce((
  SELECT g.`seq` FROM `messages` g WHERE g.`conversation_id` = `members`.`conversation_id`
    AND g.`seq` < `members`.`first_seq` AND g.`sent_at` <= `members`.`joined_at` ORDER BY g.`seq` DESC LIMIT 1), 0)
WHERE `first_seq` > 1 AND EXISTS (
  SELECT 1 FROM `messages` g WHERE g.`conversation_id` = `members`.`conversation_id`
    AND g.`seq` = `members`.`first_seq` - 1 AND g.`sent_at` > `members`.`joined_at`);
