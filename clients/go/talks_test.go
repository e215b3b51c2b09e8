package stoa_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// talks is a small chat service of one user behind an edge: what its contract says, in maps.
type talks struct {
	e *edge // whose lock guards all of it

	page    int                 // messages pulled at once at most
	lose    func() (copies int) // how often an event is pushed
	gather  int                 // how many events are pushed in one frame
	waiting []*edgev1.Event     // for their frame to be full
	commits int64
	posts   int // of somebody else's
	all     map[string]*talk
	rooms   map[string]bool // entered by the session at hand, by id
	pulls   int             // of messages, and of what was hidden
	gets    int             // of conversations
	enters  int             // tries to enter a room
	leaves  int             // of rooms
	// door answers before a room is entered: by an error, or, false, not at all. Nil lets everybody in.
	door    func(id string) (answers bool, err error)
	refuse  []error // answers of the next sends
	pulling func()  // called before messages are pulled
	// stored is called when a message was stored, before it is answered, and may cut the line.
	stored func(m *chatv1.Message)
}

// talk is a conversation as the user has it.
type talk struct {
	id       string
	room     bool
	member   bool
	epoch    int64
	first    int64 // first_seq
	messages []*chatv1.Message
	change   int64
	hidden   [][]int64
	version  int64
}

func newTalks(e *edge) *talks {
	s := &talks{e: e, page: 1000, lose: func() int { return 1 }, all: make(map[string]*talk), rooms: make(map[string]bool)}
	e.handle, e.enter, e.leave = s.handle, s.enter, s.leaveRoom
	return s
}

func (s *talks) lock() func() {
	s.e.mu.Lock()
	return s.e.mu.Unlock
}

func (s *talks) tell(event *edgev1.Event) {
	for range s.lose() {
		s.waiting = append(s.waiting, proto.CloneOf(event))
	}
	if len(s.waiting) >= s.gather {
		s.flush()
	}
}

// flush pushes what waits. The lock is held.
func (s *talks) flush() {
	if len(s.waiting) > 0 {
		s.e.pushLocked(s.waiting...)
		s.waiting = nil
	}
}

func (s *talks) tellChat(event *chatv1.Event) {
	s.tell(&edgev1.Event{Kind: &edgev1.Event_Chat{Chat: event}})
}

func (s *talks) tellState(c *talk) {
	s.tell(&edgev1.Event{Kind: &edgev1.Event_Own{Own: &chatv1.OwnEvent{
		Kind: &chatv1.OwnEvent_State{State: c.state()}, Commit: s.commits,
	}}})
}

func (c *talk) state() *chatv1.ConversationState {
	state := &chatv1.ConversationState{Conversation: &chatv1.Conversation{Id: c.id}}
	if !c.room && !c.member {
		state.Membership = &chatv1.Membership{}
		return state
	}
	state.Conversation = &chatv1.Conversation{
		Id: c.id, Kind: chatv1.ConversationKind_CONVERSATION_KIND_GROUP, Epoch: c.epoch, LastSeq: int64(len(c.messages)),
		LastChange: c.change,
	}
	if !c.room {
		state.Membership = &chatv1.Membership{
			Role: chatv1.MemberRole_MEMBER_ROLE_MEMBER, FirstSeq: c.first, HiddenChange: int64(len(c.hidden)),
		}
	}
	return state
}

// commit notes that a conversation changed.
func (s *talks) commit(c *talk) {
	s.commits++
	c.version = s.commits
}

// open makes a conversation, in which the user sees everything.
func (s *talks) open(id string) {
	defer s.lock()()
	c := &talk{id: id, member: true, epoch: 1, first: 1}
	s.all[id] = c
	s.commit(c)
	s.tellState(c)
}

func (s *talks) openRoom(id string) {
	defer s.lock()()
	s.all[id] = &talk{id: id, room: true, epoch: 1}
}

// post stores a message of somebody else's.
func (s *talks) post(id string) {
	defer s.lock()()
	s.posts++
	s.postLocked(s.all[id], "other-"+strconv.Itoa(s.posts), "other")
}

func (s *talks) postLocked(c *talk, clientMsgID, text string) *chatv1.Message {
	m := &chatv1.Message{
		ConversationId: c.id, Epoch: c.epoch, Seq: int64(len(c.messages)) + 1, ClientMsgId: clientMsgID,
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	}
	c.messages = append(c.messages, m)
	s.commit(c)
	if c.member || s.rooms[c.id] {
		s.tellChat(&chatv1.Event{ConversationId: c.id, Kind: &chatv1.Event_Message{Message: m}})
	}
	return m
}

// edit changes a message, and tells everybody how it is now.
func (s *talks) edit(id string, seq int64) {
	defer s.lock()()
	m := s.editLocked(id, seq)
	s.tellMembers(&chatv1.Event{ConversationId: id, Kind: &chatv1.Event_MessageChanged{MessageChanged: m}})
}

// editOld changes a message that not everybody may see, and tells the number of the change.
func (s *talks) editOld(id string, seq int64) {
	defer s.lock()()
	m := s.editLocked(id, seq)
	s.tellMembers(&chatv1.Event{
		ConversationId: id, Kind: &chatv1.Event_ChangedTo{ChangedTo: m.GetChange()}, Commit: s.commits,
	})
}

func (s *talks) tellMembers(event *chatv1.Event) {
	if id := event.GetConversationId(); s.all[id].member || s.rooms[id] {
		s.tellChat(event)
	}
}

func (s *talks) editLocked(id string, seq int64) *chatv1.Message {
	c := s.all[id]
	c.change++
	m := proto.CloneOf(c.messages[seq-1])
	m.Change = c.change
	m.Content.GetText().Text = fmt.Sprintf("edited %d", c.change)
	c.messages[seq-1] = m
	s.commit(c)
	return m
}

// hide deletes messages for the user.
func (s *talks) hide(id string, seqs ...int64) {
	defer s.lock()()
	c := s.all[id]
	c.hidden = append(c.hidden, seqs)
	s.commit(c)
	s.tell(&edgev1.Event{Kind: &edgev1.Event_Own{Own: &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_Hidden{Hidden: &chatv1.Hidden{
		ConversationId: id, Seqs: seqs, HiddenChange: int64(len(c.hidden)),
	}}}}})
	s.tellState(c)
}

// leave takes the user out; join lets them see what comes from then on.
func (s *talks) leave(id string) {
	defer s.lock()()
	c := s.all[id]
	c.member = false
	s.commit(c)
	s.tellState(c)
}

func (s *talks) join(id string) {
	defer s.lock()()
	c := s.all[id]
	c.member, c.first = true, int64(len(c.messages))+1
	s.commit(c)
	s.tellState(c)
}

// restore loses a history, as a restored backup does.
func (s *talks) restore(id string) {
	defer s.lock()()
	c := s.all[id]
	c.epoch++
	c.messages, c.change, c.first = nil, 0, 1
	s.tellFactsLocked(c)
}

// tellFacts changes the conversation's own facts.
func (s *talks) tellFacts(id string) {
	defer s.lock()()
	s.tellFactsLocked(s.all[id])
}

func (s *talks) tellFactsLocked(c *talk) {
	s.commit(c)
	s.tellChat(&chatv1.Event{
		ConversationId: c.id, Kind: &chatv1.Event_Conversation{Conversation: c.state().GetConversation()}, Commit: s.commits,
	})
}

// rewind restarts the server on a backup, in which only some conversations are, and of each only the first messages.
func (s *talks) rewind(messages int, ids ...string) {
	defer s.lock()()
	s.commits = 0
	for id, c := range s.all {
		if !slices.Contains(ids, id) {
			delete(s.all, id)
			continue
		}
		c.messages = c.messages[:min(messages, len(c.messages))]
		s.commit(c)
	}
	s.forgetLocked()
}

// forget restarts the server.
func (s *talks) forget() {
	defer s.lock()()
	s.forgetLocked()
}

func (s *talks) forgetLocked() {
	s.e.forgetLocked()
	clear(s.rooms)
	s.waiting = nil
}

func (s *talks) enter(in *edgev1.Enter) (*edgev1.Entered, error) {
	s.enters++
	if s.door != nil {
		if answers, err := s.door(in.GetConversationId()); err != nil || !answers {
			return nil, err
		}
	}
	c := s.all[in.GetConversationId()]
	s.rooms[c.id] = true
	return &edgev1.Entered{Position: &chatv1.Position{Epoch: c.epoch, Seq: int64(len(c.messages))}}, nil
}

func (s *talks) leaveRoom(in *edgev1.Leave) {
	s.leaves++
	delete(s.rooms, in.GetConversationId())
}

// newTalksOver is a chat service behind a fresh edge.
func newTalksOver(t *testing.T, scheme string) *talks {
	t.Helper()
	return newTalks(newEdge(t, scheme))
}
