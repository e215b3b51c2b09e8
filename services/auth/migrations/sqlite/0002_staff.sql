-- +goose Up
-- Moderators took the number that administrators had.
UPDATE users SET role = 4 WHERE role = 3;
CREATE INDEX user_role ON users (role);

-- Pictures lay at addresses of others, which no page loads any more.
UPDATE users SET avatar_url = '' WHERE avatar_url <> '';

-- SQLite folds ASCII only; other letters follow when the nickname is changed.
ALTER TABLE users ADD COLUMN nickname_folded text NOT NULL DEFAULT ('');
UPDATE users SET nickname_folded = lower(nickname);
