package stoa_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

// acked are the messages that were acknowledged, by conversation and client_msg_id.
type acked struct {
	mu   sync.Mutex
	seqs map[string]map[string]int64
}

func (a *acked) add(m *chatv1.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seqs[m.GetConversationId()] == nil {
		a.seqs[m.GetConversationId()] = make(map[string]int64)
	}
	a.seqs[m.GetConversationId()][m.GetClientMsgId()] = m.GetSeq()
}

// TestRealDevices has several devices of several people talk at once, against a real server: they write, edit, recall, react,
// hide, read, leave and come back, their lines are cut, and their programs begin anew. In the end each device has what its
// user reads by asking, and it was shown nothing twice, out of order or with a gap; nothing that was acknowledged is lost.
func TestRealDevices(t *testing.T) {
	s := realServer(t)
	witness := person(t, s, "zoe", 1)[0]
	var devices []*realDevice
	var users []string
	for _, name := range []string{"ann", "bob", "cid"} {
		theirs := person(t, s, name, 2)
		devices, users = append(devices, theirs...), append(users, theirs[0].user())
	}
	talks := []string{
		openGroup(t, witness, users, chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN),
		openGroup(t, witness, users, chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL),
	}
	pair, err := devices[0].chat.Service.OpenDirect(within(t), &chatv1.OpenDirectRequest{UserId: users[1]})
	if err != nil {
		t.Fatal(err)
	}
	sent := &acked{seqs: make(map[string]map[string]int64)}
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	var all sync.WaitGroup
	for i, d := range devices {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 100 {
				mine := talks
				if i < 4 { // of ann and bob
					mine = append(slices.Clone(talks), pair.GetState().GetConversation().GetId())
				}
				d.act(r, mine[r.IntN(len(mine))], sent)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for _, d := range append(devices, witness) {
		truth := readAll(t, chatv1connect.NewChatServiceClient(d.account.HTTPClient(), s.URL))
		if d.faulty() == "" {
			none(t, func() string { return d.differs(truth) })
		}
		if faults := d.faulty(); faults != "" {
			t.Errorf("%s: %s", d.name, faults)
		}
		if d == witness {
			for _, id := range talks {
				for name, seq := range sent.seqs[id] {
					if m := truth[id].messages[seq]; m == nil || (!m.GetDeleted() && m.GetClientMsgId() != name) {
						t.Errorf("%s was acknowledged as message %d of %s, where there is %v", name, seq, id, m)
					}
				}
			}
		}
	}
}

// openGroup makes a group that whoever leaves may join again.
func openGroup(t *testing.T, owner *realDevice, users []string, history chatv1.HistoryVisibility) string {
	t.Helper()
	made, err := owner.groups.CreateGroup(within(t), &chatv1.CreateGroupRequest{
		RequestId: stoa.NewMessageID(), Title: "All of us", UserIds: users,
		Settings: &chatv1.GroupSettings{History: history, Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetState().GetConversation().GetId()
}

// act does something. What the server refuses, as to somebody who has just left, changes nothing; only a send is never given
// up before that.
func (d *realDevice) act(r *rand.Rand, id string, sent *acked) {
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	seq, own := d.some(r, id)
	k := d.chat.Service
	switch n := r.IntN(100); {
	case n < 35:
		q := &chatv1.SendMessageRequest{ConversationId: id, ClientMsgId: stoa.NewMessageID(), Content: words(r)}
		if n < 10 {
			q.ReplyToSeq = seq
		}
		m, err := d.chat.Send(ctx, q)
		if err == nil {
			sent.add(m)
		} else if connect.CodeOf(err) != connect.CodeNotFound {
			d.t.Errorf("%s sends: %v", d.name, err)
		}
	case n < 45:
		_, _ = k.EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: own, Content: words(r)})
	case n < 52:
		_, _ = k.RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: own})
	case n < 64:
		_, _ = k.SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: seq, Key: "+1", Remove: n%3 == 0})
	case n < 70:
		_, _ = k.HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{seq}})
	case n < 78:
		_, _ = k.AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: seq}}})
	case n < 82:
		_, _ = d.groups.LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	case n < 90:
		_, _ = d.groups.JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: id})
	case n < 96:
		d.line.cut()
	default:
		d.chat.Close()
		d.open()
	}
}

func words(r *rand.Rand) *chatv1.Content {
	return &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: fmt.Sprint("words ", r.IntN(1000))}}}
}

// some returns a message that the device has, and one of its user's; 1 where there is none.
func (d *realDevice) some(r *rand.Rand, id string) (seq, own int64) {
	d.device.mu.Lock()
	defer d.device.mu.Unlock()
	seq, own = 1, 1
	v := d.views[id]
	if v == nil || len(v.messages) == 0 {
		return seq, own
	}
	user := d.user()
	seq = v.messages[r.IntN(len(v.messages))].GetSeq()
	for _, i := range r.Perm(len(v.messages)) {
		if m := v.messages[i]; m.GetSender().GetId() == user {
			return seq, m.GetSeq()
		}
	}
	return seq, own
}

// truth is a conversation as its user reads it by asking.
type truth struct {
	position stoa.Position
	messages map[int64]*chatv1.Message
}

// readAll asks for the whole list anew, and for all messages.
func readAll(t *testing.T, k chatv1connect.ChatServiceClient) map[string]*truth {
	t.Helper()
	all := make(map[string]*truth)
	for cursor, done := int64(0), false; !done; {
		page, err := k.Sync(within(t), &chatv1.SyncRequest{Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range page.GetStates() {
			if c, m := state.GetConversation(), state.GetMembership(); m.GetRole() != chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
				all[c.GetId()] = &truth{
					stoa.Position{Epoch: c.GetEpoch(), Seq: c.GetLastSeq(), Change: c.GetLastChange(), Hidden: m.GetHiddenChange()},
					make(map[int64]*chatv1.Message),
				}
			}
		}
		cursor, done = page.GetCursor(), page.GetDone()
	}
	for id, c := range all {
		for after, more := (&chatv1.Position{Epoch: c.position.Epoch}), true; more; {
			page, err := k.ListMessages(within(t), &chatv1.ListMessagesRequest{
				ConversationId: id, From: &chatv1.ListMessagesRequest_After{After: after}, PageSize: 200,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page.GetMessages() {
				c.messages[m.GetSeq()] = withoutMine(m)
				after = &chatv1.Position{Epoch: m.GetEpoch(), Seq: m.GetSeq()}
			}
			more = page.GetHasMore()
		}
	}
	return all
}

func withoutMine(m *chatv1.Message) *chatv1.Message {
	m = proto.CloneOf(m)
	for _, sign := range m.GetReactions() {
		sign.Mine = false
	}
	return m
}

// faulty says what the device was shown that it must not be shown.
func (d *realDevice) faulty() string {
	d.device.mu.Lock()
	defer d.device.mu.Unlock()
	return strings.Join(d.faults, "; ")
}

// differs says where a device is not what its user reads; "" where it is.
func (d *realDevice) differs(all map[string]*truth) string {
	d.device.mu.Lock()
	views := len(d.views)
	d.device.mu.Unlock()
	if views != len(all) {
		return fmt.Sprintf("%s has %d conversations, want %d", d.name, views, len(all))
	}
	for id, want := range all {
		d.device.mu.Lock()
		at := d.positions[id]
		d.device.mu.Unlock()
		got := d.shown(id)
		if at != want.position || len(got) != len(want.messages) {
			return fmt.Sprintf("%s is at %+v of %s with %d messages, want %+v with %d",
				d.name, at, id, len(got), want.position, len(want.messages))
		}
		for seq, m := range want.messages {
			if !proto.Equal(got[seq], m) {
				return fmt.Sprintf("%s has %v, want %v", d.name, got[seq], m)
			}
		}
	}
	return ""
}
