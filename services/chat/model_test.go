package chat_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// said is a message as the model has it.
type said struct {
	sender, text string // of what the server says, nobody
	doer         string // who wrote it, or whose act it tells
	origin       string // who wrote what was forwarded
	answers      int64  // the message that it answers
	excerpt      string // what it quotes of that
	gone, pinned bool
	signs        map[string]bool // who gave the one sign
	means        []string        // whom it mentions
	meansAll     bool
}

// side is how one user has a conversation; it stays when they leave.
type side struct {
	role           chatv1.MemberRole // 0 for who is no member
	first, cleared int64             // what they see begins with first, and after cleared
	read           int64
	hidden         map[int64]bool
	muted, banned  bool
}

// talk is a conversation as it must be, however the service stores it.
type talk struct {
	id       string
	pair     bool
	open     bool // whoever wants may join
	all      bool // newcomers see all of it
	mutedAll bool
	messages []said // by seq, from 1
	sides    map[string]*side
	ids      map[string]int64 // seq by sender and client_msg_id
	pins     []int64          // in the order of pinning
	shared   int64            // from there on everybody sees everything, whoever they were
	raised   []int64          // what shared was, one after the other
}

const (
	nobody = chatv1.MemberRole(0)
	plain  = chatv1.MemberRole_MEMBER_ROLE_MEMBER
	admin  = chatv1.MemberRole_MEMBER_ROLE_ADMIN
	owner  = chatv1.MemberRole_MEMBER_ROLE_OWNER
)

// side returns how a user has the conversation.
func (c *talk) side(user string) *side { return c.sides[user] }

func (c *talk) member(user string) bool { return c.side(user).role != nobody }

func (c *talk) last() int64 { return int64(len(c.messages)) }

func (c *talk) at(seq int64) *said { return &c.messages[seq-1] }

func (c *talk) add(s said) int64 {
	s.signs = make(map[string]bool)
	c.messages = append(c.messages, s)
	return c.last()
}

// tell adds a message of the server's about somebody's act.
func (c *talk) tell(doer string) { c.add(said{doer: doer}) }

// from is the first message that somebody sees.
func (s *side) from() int64 { return max(s.first, s.cleared+1) }

// sees reports whether a user is a member who may see a message.
func (c *talk) sees(user string, seq int64) bool {
	return c.member(user) && seq >= c.side(user).from() && seq <= c.last()
}

// mayWrite reports whether a user is a member who may say something now.
func (c *talk) mayWrite(user string) bool {
	s := c.side(user)
	return s.role != nobody && !s.muted && (!c.mutedAll || s.role >= admin)
}

// mayMean reports whether a user may mention others.
func (c *talk) mayMean(user string, means []string, all bool) bool {
	return (!all || (!c.pair && c.side(user).role >= admin)) &&
		!slices.ContainsFunc(means, func(other string) bool { return !c.member(other) })
}

// unread counts what a member has not read that is not of their own doing, and what of it means them.
func (c *talk) unread(user string) (n, mentions int32) {
	s := c.side(user)
	for seq := max(s.read+1, s.from()); seq <= c.last(); seq++ {
		m := c.at(seq)
		if m.gone || m.doer == user || s.hidden[seq] {
			continue
		}
		n++
		if m.meansAll || slices.Contains(m.means, user) {
			mentions++
		}
	}
	return n, mentions
}

// takeAway empties a message, and the quotes of it.
func (c *talk) takeAway(seq int64) {
	m := c.at(seq)
	*m = said{sender: m.sender, doer: m.doer, gone: true, signs: make(map[string]bool)}
	c.pins = slices.DeleteFunc(c.pins, func(pin int64) bool { return pin == seq })
	for i := range c.messages {
		if c.messages[i].answers == seq {
			c.messages[i].excerpt = ""
		}
	}
}

// come makes a user a member.
func (c *talk) come(user string) {
	s := c.side(user)
	s.role = plain
	if c.all {
		if s.first > 1 { // they saw less before
			s.read = 0
		}
		s.first = 1
		return
	}
	s.first, s.read = c.last()+1, c.last()
	c.shared = max(c.shared, s.first)
	c.raised = append(c.raised, c.shared)
}

// run is one try of the property: some conversations, and the devices of those who are in them.
type run struct {
	*rapid.T

	n       *node
	number  int // of the run
	people  []string
	talks   []*talk
	devices map[string]*phone // by name: the user's, and which of theirs
}

// begin makes a closed group, an open one with its whole history, and a pair.
func begin(t *rapid.T, n *node, number int) *run {
	r := &run{T: t, n: n, number: number, devices: make(map[string]*phone)}
	for _, name := range []string{"ann", "bob", "cid", "dan"} {
		r.people = append(r.people, fmt.Sprint(name, "-", number))
	}
	ann, bob, cid := r.people[0], r.people[1], r.people[2]
	r.know(&talk{id: n.group(ann, nil, bob, cid)}, ann, bob, cid)
	r.know(&talk{id: n.group(ann, &chatv1.GroupSettings{
		History: chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL, Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN,
	}, bob, cid), open: true, all: true}, ann, bob, cid)
	r.know(&talk{id: n.direct(ann, bob), pair: true}, ann, bob)
	return r
}

// know takes in a new conversation, whose first member owns it unless it is a pair's.
func (r *run) know(c *talk, members ...string) {
	c.sides, c.ids, c.shared = make(map[string]*side), make(map[string]int64), 1
	for _, user := range r.people {
		c.sides[user] = &side{hidden: make(map[int64]bool)}
	}
	for _, user := range members {
		c.side(user).role, c.side(user).first = plain, 1
	}
	if !c.pair {
		c.side(members[0]).role = owner
		c.tell(members[0])
	}
	r.talks = append(r.talks, c)
}

// TestDevicesAgreeWithAModel drives random things by several users and devices in several conversations, and holds every
// device that syncs, and what is read in pages, to a model of a few lines: nothing lost, doubled or out of order, everything
// as it is now, and nobody does what they may not do.
func TestDevicesAgreeWithAModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	number := 0
	// Enough for each run; -rapid.checks=1000 looks longer.
	if checks := flag.Lookup("rapid.checks"); checks != nil && checks.Value.String() == checks.DefValue {
		w.must(checks.Value.Set("20"))
	}
	rapid.Check(t, func(rt *rapid.T) {
		number++
		r := begin(rt, n, number)
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			if rapid.IntRange(0, 80).Draw(rt, "restart") == 0 {
				n.close()
				*n = *w.boot(fast()) // the devices' server, too
			}
			w.clock.advance(500 * time.Millisecond) // nobody does so much at once that they are stopped
			c := r.pick("conversation")
			user := rapid.SampledFrom(r.people).Draw(rt, "user")
			r.step(c, user)
			if rapid.IntRange(0, 2).Draw(rt, "sync") == 0 {
				r.sync(user, int32(rapid.IntRange(1, 5).Draw(rt, "page")))
			}
		}
		for _, d := range r.devices {
			d.sync(100)
			r.assertDevice(d)
		}
		for _, c := range r.talks {
			r.assertPages(c)
			r.assertUnread(c)
			last := r.lastChange(c)
			if last > 0 {
				n.toldTo(told, c.id, last)
			}
			r.assertTold(c, told(), last)
		}
	})
}

// sync brings one of a user's devices up to date.
func (r *run) sync(user string, page int32) {
	name := fmt.Sprint(user, " ", rapid.IntRange(1, 2).Draw(r.T, "device"))
	if r.devices[name] == nil {
		r.devices[name] = r.n.phone(user)
	}
	r.devices[name].sync(page)
	r.assertDevice(r.devices[name])
}
