-- +goose Up
-- Members are listed by role in the order of joining. Who comes back has the row of before, and joined last.
DROP INDEX `member_conversation_id_role`;
CREATE INDEX `member_conversation_id_role_joined_at` ON `members` (`conversation_id`, `role`, `joined_at`);
