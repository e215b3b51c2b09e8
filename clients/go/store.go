package stoa

import (
	"context"
	"maps"
	"slices"
	"sync"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// Position is what a device has of one conversation.
type Position struct {
	// Epoch is the generation of the history that it has.
	Epoch int64
	// Seq is the last message that it has; all before it, down to where it began, it has too.
	Seq int64
	// Change is the last change of messages that it has.
	Change int64
	// Hidden is the last change of what the user hid that it has.
	Hidden int64
}

// Update is what is new in one conversation. Whoever does as the updates say, in their order, has each message once.
type Update struct {
	// ConversationID says where.
	ConversationID string
	// Gone says that the user may not see the conversation any more, or that the server's history was replaced: take it out
	// of the list with all that was kept of it. Nothing else is set.
	Gone bool
	// Reset says that all messages that were kept of the conversation are void: its history began anew. It comes first.
	Reset bool
	// State is what was told about the conversation: its own facts, the user's side and the last message, each as far as
	// it was told. Nil when nothing was. What was kept of messages before the membership's first_seq is void.
	State *chatv1.ConversationState
	// Messages are new, oldest first, and follow the position before without a gap, except where the user may not see
	// what lies between. A client_msg_id of one's own says which sent message it is.
	Messages []*chatv1.Message
	// Changed are messages that were edited, recalled, pinned and so on, as they are now, to be applied after Messages. The
	// device need not have all of them: they may lie before where it began. What was pushed is the same for everybody, so
	// where a reaction has no mine, keep what is known of it.
	Changed []*chatv1.Message
	// HiddenSeqs are messages that the user deleted for themselves.
	HiddenSeqs []int64
	// Position is what the device has now.
	Position Position

	before Position // what it had
}

// Store keeps what a device has. A program that keeps messages across its own restarts writes them in Save, in one
// transaction with the position: then it has each message once whenever it ends. One goroutine calls it.
type Store interface {
	// Load returns the cursor of Sync, 0 for a new device, and the position of each conversation.
	Load(ctx context.Context) (cursor int64, positions map[string]Position, err error)
	// Save keeps an update. One that fails is saved again, for ever: nothing else happens until it succeeds.
	Save(ctx context.Context, u Update) error
	// SaveCursor keeps the cursor; everything that it covers was saved before.
	SaveCursor(ctx context.Context, cursor int64) error
}

// MemoryStore keeps positions for as long as the program runs, and no messages. Its zero value is empty.
type MemoryStore struct {
	mu        sync.Mutex
	cursor    int64
	positions map[string]Position
}

var _ Store = (*MemoryStore)(nil)

// Load implements Store.
func (s *MemoryStore) Load(context.Context) (int64, map[string]Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor, maps.Clone(s.positions), nil
}

// Save implements Store.
func (s *MemoryStore) Save(_ context.Context, u Update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.positions == nil {
		s.positions = make(map[string]Position)
	}
	if u.Gone {
		delete(s.positions, u.ConversationID)
		return nil
	}
	s.positions[u.ConversationID] = u.Position
	return nil
}

// SaveCursor implements Store.
func (s *MemoryStore) SaveCursor(_ context.Context, cursor int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = cursor
	return nil
}

// ConversationIDs returns the conversations that the device has, in the order of their ids.
func (s *MemoryStore) ConversationIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.positions))
}
