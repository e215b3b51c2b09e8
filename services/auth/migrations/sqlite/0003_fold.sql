-- +goose Up
-- Nicknames were in lower case here, which is not the same in every script. The service fills what is empty.
UPDATE users SET nickname_folded = '';
