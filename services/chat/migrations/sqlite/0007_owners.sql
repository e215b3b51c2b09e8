-- +goose Up
-- How many groups somebody owns is counted whenever one is made or given away.
CREATE INDEX `conversation_owner_id` ON `conversations` (`owner_id`) WHERE kind = 3 AND NOT disbanded;
