-- +goose Up
-- Clients choose ids that grow with time. In this order those of all conversations come to lie side by side, so that a
-- commit of many messages writes a page or two of the index instead of one for each sender.
DROP INDEX `message_conversation_id_sender_id_client_msg_id`;
CREATE UNIQUE INDEX `message_client_msg_id_sender_id_conversation_id`
  ON `messages` (`client_msg_id`, `sender_id`, `conversation_id`);
