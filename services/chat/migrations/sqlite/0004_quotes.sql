-- +goose Up
-- Answers are found by the message whose words they quote, so that the words go with it.
-- What is rewritten here is overwritten in the file.
PRAGMA secure_delete = ON;
ALTER TABLE `messages` ADD COLUMN `quoted_seq` integer NOT NULL DEFAULT (0);

CREATE TABLE `erasures` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `conversation_id` text NOT NULL,
  `seq` integer NOT NULL
);
CREATE UNIQUE INDEX `erasure_conversation_id_seq` ON `erasures` (`conversation_id`, `seq`);

-- A body is a stoa.chat.v1.Message: fields of one byte for their number and type, and then one byte (type 0) or a length of
-- up to three bytes and as much (type 2). The walk goes from field to field until it stands at the quote (0x5a), which
-- begins with the number of the message that it quotes (0x08). One that has nothing else quotes no words.
CREATE TEMPORARY TABLE `octets` (`value` integer NOT NULL, `octet` blob NOT NULL PRIMARY KEY) WITHOUT ROWID;
WITH RECURSIVE `count` (`n`) AS (SELECT 0 UNION ALL SELECT `n` + 1 FROM `count` WHERE `n` < 255)
INSERT INTO `octets` SELECT `n`, unhex(printf('%02x', `n`)) FROM `count`;

CREATE TEMPORARY TABLE `quotes` AS
WITH RECURSIVE `walk` (`conversation_id`, `seq`, `body`, `at`) AS (
  SELECT `conversation_id`, `seq`, `body`, 1 FROM `messages` WHERE instr(`body`, x'5a') > 0
  UNION ALL
  SELECT w.`conversation_id`, w.`seq`, w.`body`, w.`at` + CASE
      WHEN k.`value` & 7 = 0 THEN 2
      WHEN a.`value` < 128 THEN 2 + a.`value`
      WHEN b.`value` < 128 THEN 3 + (a.`value` & 127) + (b.`value` << 7)
      ELSE 4 + (a.`value` & 127) + ((b.`value` & 127) << 7) + (c.`value` << 14)
    END
  FROM `walk` w
  JOIN `octets` k ON k.`octet` = substr(w.`body`, w.`at`, 1)
  JOIN `octets` a ON a.`octet` = substr(w.`body`, w.`at` + 1, 1)
  LEFT JOIN `octets` b ON b.`octet` = substr(w.`body`, w.`at` + 2, 1)
  LEFT JOIN `octets` c ON c.`octet` = substr(w.`body`, w.`at` + 3, 1)
  WHERE k.`value` <> 90
)
SELECT `conversation_id`, `seq`, `body`,
  `at` + CASE WHEN substr(`body`, `at` + 1, 1) < x'80' THEN 2 WHEN substr(`body`, `at` + 2, 1) < x'80' THEN 3 ELSE 4 END
    AS `at`
FROM `walk` WHERE substr(`body`, `at`, 1) = x'5a';

CREATE TEMPORARY TABLE `quoted` AS
WITH RECURSIVE `number` (`conversation_id`, `seq`, `body`, `at`, `shift`, `quoted_seq`, `more`) AS (
  SELECT `conversation_id`, `seq`, `body`, `at` + 1, 0, 0, 1 FROM `quotes` WHERE substr(`body`, `at`, 1) = x'08'
  UNION ALL
  SELECT n.`conversation_id`, n.`seq`, n.`body`, n.`at` + 1, n.`shift` + 7,
    n.`quoted_seq` + ((o.`value` & 127) << n.`shift`), o.`value` > 127
  FROM `number` n JOIN `octets` o ON o.`octet` = substr(n.`body`, n.`at`, 1)
  WHERE n.`more`
)
SELECT `conversation_id`, `seq`, `quoted_seq` FROM `number`
WHERE NOT `more` AND substr(`body`, `at`, 1) IN (x'12', x'1a');

UPDATE `messages` SET `quoted_seq` = q.`quoted_seq` FROM `quoted` q
WHERE `messages`.`conversation_id` = q.`conversation_id` AND `messages`.`seq` = q.`seq` AND NOT `messages`.`deleted`;
DROP TABLE `quoted`;
DROP TABLE `quotes`;
DROP TABLE `octets`;
CREATE INDEX `message_conversation_id_quoted_seq` ON `messages` (`conversation_id`, `quoted_seq`) WHERE `quoted_seq` > 0;

-- What was taken away before is still quoted.
INSERT INTO `erasures` (`conversation_id`, `seq`)
  SELECT DISTINCT a.`conversation_id`, a.`quoted_seq` FROM `messages` a
  JOIN `messages` m ON m.`conversation_id` = a.`conversation_id` AND m.`seq` = a.`quoted_seq`
  WHERE a.`quoted_seq` > 0 AND m.`deleted`;
PRAGMA secure_delete = FAST;
