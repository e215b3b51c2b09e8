package chat_test

import (
	"flag"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// said is a message as the model has it.
type said struct {
	sender, text string // of what the server says, nobody
	doer         string // who wrote it, or whose act it tells
	answers      int64  // the message that it answers
	excerpt      string // what it quotes of that
	gone         bool
	signs        map[string]bool // who gave the one sign
}

// model is a group as it must be, however the service stores it.
type model struct {
	messages []said           // by seq, from 1
	since    map[string]int64 // the first message that each member sees
	ids      map[string]int64 // seq by sender and client_msg_id
	hidden   map[string]map[int64]bool
	read     map[string]int64
	shared   int64 // the first message that all members see, whoever they were
}

// TestDevicesAgreeWithAModel drives random things by several users and devices, and holds every device that syncs to a
// model of a few lines: nothing lost, doubled or out of order, and everything as it is now.
func TestDevicesAgreeWithAModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	users := []string{"ann", "bob", "cid", "dan"}
	round := 0
	// Enough for each run; -rapid.checks=1000 looks longer.
	if checks := flag.Lookup("rapid.checks"); checks != nil && checks.Value.String() == checks.DefValue {
		w.must(checks.Value.Set("30"))
	}
	rapid.Check(t, func(rt *rapid.T) {
		round++
		id := n.group("ann", nil)
		m := &model{
			since: map[string]int64{"ann": 1}, ids: make(map[string]int64), hidden: make(map[string]map[int64]bool),
			read: make(map[string]int64), shared: 1,
		}
		m.add(said{doer: "ann"})
		devices := make(map[string]*phone)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			user := rapid.SampledFrom(users).Draw(rt, "user")
			if rapid.IntRange(0, 40).Draw(rt, "restart") == 0 {
				n.close()
				*n = *w.boot(fast()) // the devices' server, too
			}
			step(rt, n, m, id, user, round)
			if rapid.Bool().Draw(rt, "sync") {
				name := fmt.Sprint(user, rapid.IntRange(1, 2).Draw(rt, "device"))
				if devices[name] == nil {
					devices[name] = n.phone(user)
				}
				devices[name].sync(int32(rapid.IntRange(1, 5).Draw(rt, "page")))
				m.assert(rt, devices[name], id)
			}
		}
		for _, d := range devices {
			d.sync(100)
			m.assert(rt, d, id)
		}
		m.assertPages(rt, n, id)
		last := n.state("ann", id).GetConversation().GetLastChange()
		if last > 0 {
			n.toldTo(told, id, last)
		}
		assertToldToAll(rt, told(), id, last)
	})
}

func (m *model) add(s said) int64 {
	s.signs = make(map[string]bool)
	m.messages = append(m.messages, s)
	return int64(len(m.messages))
}

// join makes a user a member, who sees what comes from now on.
func (m *model) join(user string) {
	m.since[user], m.read[user] = int64(len(m.messages))+1, int64(len(m.messages))
	m.shared = m.since[user]
}

// unread is how many messages a member has not read that are not of their own doing.
func (m *model) unread(user string) (n int32) {
	for seq := max(m.read[user]+1, m.since[user]); seq <= int64(len(m.messages)); seq++ {
		if s := m.messages[seq-1]; !s.gone && s.doer != user && !m.hidden[user][seq] {
			n++
		}
	}
	return n
}

// sees reports whether a user is a member who may see a message.
func (m *model) sees(user string, seq int64) bool {
	since, ok := m.since[user]
	return ok && seq >= since && seq <= int64(len(m.messages))
}

// step does one thing, in the service and in the model; what is not allowed must be refused.
func step(rt *rapid.T, n *node, m *model, id, user string, round int) {
	ctx := n.t.Context()
	seq := int64(rapid.IntRange(1, len(m.messages)+1).Draw(rt, "seq"))
	_, member := m.since[user]
	var err error
	fine := false
	switch what := rapid.SampledFrom([]string{
		"send", "answer", "repeat", "edit", "recall", "react", "add", "remove", "leave", "hide", "read",
	}).Draw(rt, "what"); what {
	case "send", "answer", "repeat":
		key := fmt.Sprintf("round-%d-%d", round, len(m.messages))
		if what == "repeat" {
			key = fmt.Sprintf("round-%d-%d", round, seq)
		}
		next := said{sender: user, doer: user, text: key}
		r := sending(id, key, key)
		fine = member
		if what == "answer" {
			if fine = m.sees(user, seq); fine {
				next.answers = seq
				if quoted := m.messages[seq-1]; quoted.sender != "" && !quoted.gone && seq >= m.shared {
					next.excerpt = quoted.text
				}
			}
			r.ReplyToSeq = seq
		}
		if _, stored := m.ids[user+key]; stored { // whatever it would be refused for now
			fine = member
		}
		var res *chatv1.SendMessageResponse
		res, err = n.as(user).SendMessage(ctx, r)
		if fine && err == nil {
			known, ok := m.ids[user+key]
			if !ok {
				known = m.add(next)
				m.ids[user+key] = known
			}
			if got := res.GetMessage().GetSeq(); got != known {
				rt.Fatalf("%s is message %d, want %d", key, got, known)
			}
		}
	case "edit":
		text := fmt.Sprint("edited ", rapid.IntRange(1, 3).Draw(rt, "version"))
		_, err = n.as(user).EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: seq, Content: &chatv1.Content{
			Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}},
		}})
		if fine = m.sees(user, seq) && m.messages[seq-1].sender == user && !m.messages[seq-1].gone; fine {
			m.messages[seq-1].text = text
		}
	case "recall":
		_, err = n.as(user).RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: seq})
		fine = m.sees(user, seq) && (m.messages[seq-1].gone || (m.messages[seq-1].sender != "" && (m.messages[seq-1].sender == user || user == "ann")))
		if fine {
			m.takeAway(seq)
		}
	case "react":
		remove := rapid.Bool().Draw(rt, "remove")
		_, err = n.as(user).SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: seq, Key: "+1", Remove: remove})
		if fine = m.sees(user, seq) && !m.messages[seq-1].gone && m.messages[seq-1].sender != ""; fine {
			if delete(m.messages[seq-1].signs, user); !remove {
				m.messages[seq-1].signs[user] = true
			}
		}
	case "add":
		_, err = n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{user}})
		if fine = true; !member {
			m.join(user)
			m.add(said{doer: "ann"})
		}
	case "remove":
		if user == "ann" {
			return
		}
		_, err = n.groups("ann").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: id, UserIds: []string{user}})
		if fine = true; member {
			delete(m.since, user)
			m.add(said{doer: "ann"})
		}
	case "leave":
		_, err = n.groups(user).LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
		if fine = member && user != "ann"; fine { // who is the owner
			delete(m.since, user)
			m.add(said{doer: user})
		}
	case "hide":
		_, err = n.as(user).HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{seq}})
		if fine = member; fine && m.sees(user, seq) {
			if m.hidden[user] == nil {
				m.hidden[user] = make(map[int64]bool)
			}
			m.hidden[user][seq] = true
		}
	case "read":
		if !member {
			return
		}
		_, err = n.as(user).AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{
			Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: seq}},
		})
		if fine = seq <= int64(len(m.messages)); fine {
			m.read[user] = max(m.read[user], seq)
		}
	}
	if (err == nil) != fine {
		rt.Fatalf("%s, message %d: %v, and allowed is %v", user, seq, err, fine)
	}
}

// takeAway empties a message, and the quotes of it.
func (m *model) takeAway(seq int64) {
	m.messages[seq-1].gone = true
	clear(m.messages[seq-1].signs)
	for i := range m.messages {
		if m.messages[i].answers == seq {
			m.messages[i].excerpt = ""
		}
	}
}

// assert holds a device that just synced to the model. What its user hid it has all the same: ListHidden tells.
func (m *model) assert(rt *rapid.T, p *phone, id string) {
	since, member := m.since[p.user]
	if (p.states[id] != nil) != member {
		rt.Fatalf("%s is a member: %v, and the device says %v", p.user, member, p.states[id])
	}
	if !member {
		return
	}
	if want := int64(len(m.messages)) - since + 1; int64(len(p.said[id])) != want {
		rt.Fatalf("%s has %d messages, want %d", p.user, len(p.said[id]), want)
	}
	for seq := since; seq <= int64(len(m.messages)); seq++ {
		m.compare(rt, p.user, seq, p.said[id][seq])
	}
	if got, want := p.n.state(p.user, id).GetMembership().GetUnreadCount(), m.unread(p.user); got != want {
		rt.Fatalf("%s has %d unread messages, want %d", p.user, got, want)
	}
}

func (m *model) compare(rt *rapid.T, user string, seq int64, got *chatv1.Message) {
	want := m.messages[seq-1]
	switch {
	case got.GetSeq() != seq || got.GetDeleted() != want.gone:
		rt.Fatalf("%s: message %d is %v, want %v", user, seq, got, want)
	case want.gone && got.GetContent() != nil, want.sender != "" && !want.gone && got.GetContent().GetText().GetText() != want.text:
		rt.Fatalf("%s: message %d says %v, want %v", user, seq, got, want)
	}
	if !want.gone && (got.GetReplyTo().GetSeq() != want.answers || got.GetReplyTo().GetExcerpt() != want.excerpt ||
		(got.GetReplyTo().GetSender() != nil) != (want.excerpt != "")) {
		rt.Fatalf("%s: message %d quotes %v, want %q of %d", user, seq, got.GetReplyTo(), want.excerpt, want.answers)
	}
	signs := 0
	for _, r := range got.GetReactions() {
		signs += int(r.GetCount())
	}
	if signs != len(want.signs) {
		rt.Fatalf("%s: message %d has %d signs, want %v", user, seq, signs, want.signs)
	}
}

// assertPages holds what members read in pages to the model.
func (m *model) assertPages(rt *rapid.T, n *node, id string) {
	for user, since := range m.since {
		res, err := n.as(user).ListMessages(n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: id, PageSize: 200})
		if err != nil {
			rt.Fatal(err)
		}
		shown := res.GetMessages()
		for seq := since; seq <= int64(len(m.messages)); seq++ {
			if m.hidden[user][seq] {
				continue
			}
			if len(shown) == 0 {
				rt.Fatalf("%s reads no message %d", user, seq)
			}
			m.compare(rt, user, seq, shown[0])
			shown = shown[1:]
		}
		if len(shown) != 0 {
			rt.Fatalf("%s reads too much: %v", user, shown)
		}
	}
}

// assertToldToAll holds what was told of a conversation to those who hear it: changes come without gaps, and nothing shows
// what lies before the last member who came.
func assertToldToAll(rt *rapid.T, told []*chatv1.ConversationEvents, id string, last int64) {
	var seq, change, commit int64
	shared := int64(1)
	sees := func(m *chatv1.Message) bool {
		return m.GetSeq() >= shared && (m.GetReplyTo().GetSender() == nil || m.GetReplyTo().GetSeq() >= shared)
	}
	for _, events := range told {
		if events.GetConversationId() != id {
			continue
		}
		for _, e := range events.GetEvents() {
			switch kind := e.GetKind().(type) {
			case *chatv1.Event_Message:
				if seq = max(seq, kind.Message.GetSeq()); !sees(kind.Message) {
					rt.Fatalf("from message %d on all see everything, and all are told of %v", shared, kind.Message)
				}
			case *chatv1.Event_MessageChanged:
				if number := kind.MessageChanged.GetChange(); number > change+1 {
					rt.Fatalf("change %d is told after %d", number, change)
				}
				if change = max(change, kind.MessageChanged.GetChange()); !sees(kind.MessageChanged) {
					rt.Fatalf("from message %d on all see everything, and all are told of %v", shared, kind.MessageChanged)
				}
			case *chatv1.Event_ChangedTo:
				change = max(change, kind.ChangedTo)
			case *chatv1.Event_Members:
				if again := e.GetCommit() <= commit; again {
					continue
				}
				if commit = e.GetCommit(); kind.Members.GetMembers()[0].GetRole() != chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
					shared = seq + 1
				}
			}
		}
	}
	if change != last {
		rt.Fatalf("told of changes up to %d, and there are %d", change, last)
	}
}
