package chat_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// step has a user do one thing, in the service and in the model; what is not allowed must be refused, and changes nothing.
func (r *run) step(c *talk, user string) {
	what := rapid.SampledFrom([]string{
		"send", "send", "send", "answer", "repeat", "edit", "recall", "react", "pin", "forward", "hide", "clear", "read",
		"add", "join", "remove", "leave", "ban", "unban", "mute", "mute all", "role", "transfer", "history",
	}).Draw(r.T, "what")
	seq := r.seq(c, user, what)
	var fine bool
	var err error
	switch what {
	case "send", "answer", "repeat":
		fine, err = r.send(c, user, what, seq)
	case "edit":
		fine, err = r.edit(c, user, seq)
	case "forward":
		fine, err = r.forward(c, user, seq)
	case "recall", "react", "pin":
		fine, err = r.sign(c, user, what, seq)
	case "hide", "clear", "read":
		fine, err = r.own(c, user, what, seq)
	default:
		if rapid.Bool().Draw(r.T, "by the owner") {
			user = c.owner(user)
		}
		fine, err = r.manage(c, user, what)
	}
	if (err == nil) != fine {
		r.Fatalf("%s by %s, message %d of %d in %s (a pair: %v): %v, and allowed is %v",
			what, user, seq, c.last(), c.id, c.pair, err, fine)
	}
}

// pick draws a conversation.
func (r *run) pick(what string) *talk {
	return r.talks[rapid.SampledFrom([]int{0, 1, 0, 1, 2}).Draw(r.T, what)]
}

// seq draws a message: mostly one with which the user can do it, and now and then any, which may not be there.
func (r *run) seq(c *talk, user, what string) int64 {
	var likely []int64
	for seq := c.side(user).from(); seq <= c.last(); seq++ {
		if m := c.at(seq); !m.gone && m.sender != "" && (what != "edit" || (m.sender == user && m.origin == "")) {
			likely = append(likely, seq)
		}
	}
	if len(likely) > 0 && rapid.IntRange(0, 3).Draw(r.T, "any message") > 0 {
		return rapid.SampledFrom(likely).Draw(r.T, "seq")
	}
	return int64(rapid.IntRange(1, len(c.messages)+1).Draw(r.T, "seq"))
}

// other draws whom something is done to: mostly somebody to whom it can be done.
func (r *run) other(c *talk, user, what string) string {
	var likely []string
	for _, name := range r.people {
		s := c.side(name)
		if may := map[string]bool{"add": s.role == nobody, "unban": s.banned}; may[what] ||
			(what != "add" && what != "unban" && s.role != nobody && name != user) {
			likely = append(likely, name)
		}
	}
	if len(likely) > 0 && rapid.IntRange(0, 3).Draw(r.T, "anybody") > 0 {
		return rapid.SampledFrom(likely).Draw(r.T, "other")
	}
	return rapid.SampledFrom(r.people).Draw(r.T, "other")
}

// owner returns who owns a group, or somebody else where nobody does.
func (c *talk) owner(otherwise string) string {
	for user, s := range c.sides {
		if s.role == owner {
			return user
		}
	}
	return otherwise
}

// means draws whom a message mentions: mostly nobody.
func (r *run) means() (means []string, all bool, mentions *chatv1.Mentions) {
	switch rapid.IntRange(0, 5).Draw(r.T, "mentions") {
	case 0:
		all = true
	case 1, 2:
		means = []string{rapid.SampledFrom(r.people).Draw(r.T, "whom")}
	default:
		return nil, false, nil
	}
	return means, all, &chatv1.Mentions{UserIds: means, All: all}
}

func (r *run) send(c *talk, user, what string, seq int64) (fine bool, err error) {
	key := fmt.Sprintf("%d-%d", r.number, len(c.messages))
	if what == "repeat" {
		key = fmt.Sprintf("%d-%d", r.number, seq)
	}
	next, q := said{sender: user, doer: user, text: "says " + key}, sending(c.id, key, "says "+key)
	next.means, next.meansAll, q.Mentions = r.means()
	fine = c.mayWrite(user) && c.mayMean(user, next.means, next.meansAll)
	if what == "answer" {
		q.ReplyToSeq, next.answers = seq, seq
		if fine = fine && c.sees(user, seq); fine {
			if quoted := c.at(seq); quoted.sender != "" && !quoted.gone && seq >= c.shared {
				next.excerpt = quoted.text
			}
		}
	}
	known, stored := c.ids[user+key]
	if stored { // whatever it would be refused for now
		fine = c.member(user)
	}
	res, err := r.n.as(user).SendMessage(r.n.t.Context(), q)
	if err != nil || !fine {
		return fine, err
	}
	if !stored {
		known = c.add(next)
		c.ids[user+key] = known
	}
	if got := res.GetMessage().GetSeq(); got != known {
		r.Fatalf("%s is message %d, want %d", key, got, known)
	}
	return fine, nil
}

func (r *run) edit(c *talk, user string, seq int64) (fine bool, err error) {
	now := fmt.Sprint("edited ", rapid.IntRange(1, 3).Draw(r.T, "version"))
	means, all, mentions := r.means()
	_, err = r.n.as(user).EditMessage(r.n.t.Context(), &chatv1.EditMessageRequest{
		ConversationId: c.id, Seq: seq, Content: text(now), Mentions: mentions,
	})
	if !c.sees(user, seq) {
		return false, err
	}
	m := c.at(seq)
	if fine = c.mayWrite(user) && c.mayMean(user, means, all) && m.sender == user && !m.gone && m.origin == ""; fine {
		m.text, m.means, m.meansAll = now, means, all
	}
	return fine, err
}

// forward takes one message or two to another conversation, all or nothing.
func (r *run) forward(c *talk, user string, seq int64) (fine bool, err error) {
	to := r.pick("to")
	seqs := []int64{seq}
	if rapid.Bool().Draw(r.T, "two") {
		seqs = append(seqs, int64(rapid.IntRange(1, max(1, len(c.messages))).Draw(r.T, "second")))
	}
	_, err = r.n.as(user).ForwardMessages(r.n.t.Context(), &chatv1.ForwardMessagesRequest{
		FromConversationId: c.id, Seqs: seqs, ToConversationId: to.id,
		RequestId: fmt.Sprintf("forward-%d-%d-%d", r.number, c.last(), to.last()),
	})
	fine = to.mayWrite(user) && (len(seqs) == 1 || seqs[0] != seqs[1]) // none twice in one request
	for _, seq := range seqs {
		fine = fine && c.sees(user, seq) && !c.side(user).hidden[seq] && !c.at(seq).gone && c.at(seq).sender != ""
	}
	if !fine {
		return false, err
	}
	for _, seq := range seqs {
		m := c.at(seq)
		copied := said{sender: user, doer: user, text: m.text, origin: m.origin}
		if copied.origin == "" {
			copied.origin = m.sender
		}
		to.add(copied)
	}
	return true, err
}

// sign changes what stands around a message.
func (r *run) sign(c *talk, user, what string, seq int64) (fine bool, err error) {
	k, ctx := r.n.as(user), r.n.t.Context()
	sees := c.sees(user, seq)
	role := c.side(user).role
	m := &said{gone: true}
	if sees {
		m = c.at(seq)
	}
	if what == "recall" {
		_, err = k.RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: c.id, Seq: seq})
		fine = sees && (m.gone || m.sender == user || (m.sender != "" && !c.pair && role >= admin))
		if fine && !m.gone {
			c.takeAway(seq)
		}
		return fine, err
	}
	remove := rapid.IntRange(0, 2).Draw(r.T, "remove") == 0
	if what == "react" {
		_, err = k.SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: c.id, Seq: seq, Key: "+1", Remove: remove})
		if fine = c.mayWrite(user) && !m.gone && m.sender != ""; fine {
			if delete(m.signs, user); !remove {
				m.signs[user] = true
			}
		}
		return fine, err
	}
	_, err = k.PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: c.id, Seq: seq, Remove: remove})
	fine = c.mayWrite(user) && !m.gone && (c.pair || role >= admin)
	if !fine || m.pinned != remove {
		return fine, err
	}
	m.pinned = !remove
	if c.pins = slices.DeleteFunc(c.pins, func(pin int64) bool { return pin == seq }); !remove {
		c.pins = append(c.pins, seq)
		if !c.pair {
			c.tell(user)
		}
	}
	return fine, err
}

// own changes what is nobody's but the user's.
func (r *run) own(c *talk, user, what string, seq int64) (fine bool, err error) {
	k, ctx, s := r.n.as(user), r.n.t.Context(), c.side(user)
	switch what {
	case "hide":
		_, err = k.HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: c.id, Seqs: []int64{seq}})
		if c.sees(user, seq) {
			s.hidden[seq] = true
		}
		return c.member(user), err
	case "clear":
		_, err = k.HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: c.id, UpToSeq: seq})
		if c.member(user) {
			s.cleared = max(s.cleared, min(seq, c.last()))
		}
		return c.member(user), err
	}
	_, err = k.AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{
		Advances: []*chatv1.Advance{{ConversationId: c.id, ReadSeq: seq}},
	})
	if !c.member(user) {
		return true, err // it is told that it is gone
	}
	if fine = seq <= c.last(); fine {
		s.read = max(s.read, seq)
	}
	return fine, err
}
