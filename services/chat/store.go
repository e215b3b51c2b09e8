package chat

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// store is the service's database: conversations and mutes through ent, messages and the outbox through prepared SQL,
// since every send and every reader pays for them.
type store struct {
	db    *sqlstore.DB
	read  *ent.Client
	write *ent.Client

	messages messageStatements
	batches  batchStatements
}

func openStore(ctx context.Context, deps service.Deps) (_ *store, err error) {
	db, err := sqlstore.Open(ctx, deps.StoreURL, "chat", migrations, deps.Logger)
	if err != nil {
		return nil, err
	}
	s := &store{
		db:    db,
		read:  ent.NewClient(ent.Driver(db.ReadDriver())),
		write: ent.NewClient(ent.Driver(db.WriteDriver())),
	}
	var first, second error
	s.messages, first = prepareMessages(ctx, db.Read)
	s.batches, second = prepareBatches(ctx, db.Write)
	if err := errors.Join(first, second); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare statements: %w", err), db.Close())
	}
	return s, nil
}

// close closes the database and with it its statements.
func (s *store) close() error { return s.db.Close() }

// conversation returns a conversation as it is now. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *store) conversation(ctx context.Context, id string) (Conversation, error) {
	row, err := s.read.Conversation.Get(ctx, id)
	if ent.IsNotFound(err) {
		return Conversation{}, conversationNotFound()
	}
	if err != nil {
		return Conversation{}, fmt.Errorf("read conversation: %w", err)
	}
	return Conversation{
		ID: row.ID, Kind: chatv1.ConversationKind(row.Kind), OwnerID: row.OwnerID, Epoch: row.Epoch, //nolint:gosec // an enum
		LastSeq: row.LastSeq, Likes: row.Likes, CreatedAt: row.CreatedAt.UTC(),
	}, nil
}

// createConversation makes a conversation unless there is one of that id.
func (s *store) createConversation(ctx context.Context, c Conversation) error {
	err := s.write.Conversation.Create().SetID(c.ID).SetKind(int(c.Kind)).SetOwnerID(c.OwnerID).SetEpoch(c.Epoch).
		SetCreatedAt(c.CreatedAt.UTC()).OnConflictColumns("id").Ignore().Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("create conversation: %w", err)
	}
	return nil
}

// addLikes adds to the totals of conversations.
func (s *store) addLikes(ctx context.Context, added map[string]int64) error {
	err := sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		for id, n := range added {
			if err := tx.Conversation.UpdateOneID(id).AddLikes(n).Exec(ctx); err != nil && !ent.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store likes: %w", err)
	}
	return nil
}
