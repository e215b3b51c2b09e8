package chat

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// store is the service's database: what every send and every reader pays for goes through prepared SQL, the rest through
// ent.
type store struct {
	db    *sqlstore.DB
	says  sqlDialect
	read  *ent.Client
	write *ent.Client

	messages      messageStatements
	conversations conversationStatements
	batches       batchStatements
	erasures      *erasures
}

func openStore(ctx context.Context, deps service.Deps) (_ *store, err error) {
	db, err := sqlstore.Open(ctx, deps.StoreURL, "chat", migrations, deps.Logger)
	if err != nil {
		return nil, err
	}
	s := &store{
		db:    db,
		says:  sqlDialect(db.Dialect()),
		read:  ent.NewClient(ent.Driver(db.ReadDriver())),
		write: ent.NewClient(ent.Driver(db.WriteDriver())),
	}
	var first, second, third, fourth, fifth error
	s.messages, first = prepareMessages(ctx, db.Read, s.says)
	s.conversations, second = prepareConversations(ctx, db.Read, s.says)
	s.batches, third = prepareBatches(ctx, db.Write, s.says)
	s.erasures, fourth = loadErasures(ctx, db.Read)
	if s.says.sqlite() {
		_, fifth = db.Write.ExecContext(ctx, overwriteLittle)
	}
	if err := errors.Join(first, second, third, fourth, fifth); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare store: %w", err), db.Close())
	}
	return s, nil
}

// close closes the database and with it its statements.
func (s *store) close() error { return s.db.Close() }

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
