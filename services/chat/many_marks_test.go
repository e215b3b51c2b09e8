package chat_test

import (
	"fmt"
	"slices"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// TestChangingAMessageAmongManyMentions edits and recalls messages with and without mentions in a group that has very many:
// what that costs does not grow with them, and the message's own go, and no others.
func TestChangingAMessageAmongManyMentions(t *testing.T) {
	t.Parallel()
	const many = 20_000
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid")
	send := func(key string, mentions *chatv1.Mentions) int64 {
		res, err := n.as("ann").SendMessage(ctx, &chatv1.SendMessageRequest{
			ConversationId: id, ClientMsgId: "message-" + key, Content: text("x"), Mentions: mentions,
		})
		n.must(err)
		return res.GetMessage().GetSeq()
	}
	some, all := &chatv1.Mentions{UserIds: []string{"bob", "cid"}}, &chatv1.Mentions{All: true}
	act := func(key string) (edited, recalled int64) {
		for _, mentions := range []*chatv1.Mentions{nil, some, all} {
			seq := send(key+mentions.String(), mentions)
			pages, _ := n.pages(func() { n.edit("ann", id, seq, "edited "+key) })
			edited = max(edited, pages)
			if got := w.number("SELECT count(*) FROM mentions WHERE conversation_id = ? AND seq = ?", id, seq); got != 0 {
				t.Errorf("%d mentions are left of %v", got, mentions)
			}
			seq = send(key+"again"+mentions.String(), mentions)
			pages, _ = n.pages(func() { n.recall("ann", id, seq) })
			recalled = max(recalled, pages)
		}
		if got := n.state("bob", id).GetMembership().GetUnreadMentions(); got != 0 {
			t.Errorf("%d mentions are counted of what nobody is meant by any more", got)
		}
		return edited, recalled
	}
	editedFew, recalledFew := act("few")
	w.insert("mentions (conversation_id, user_id, seq)", many, func(i int) []any { return []any{id, fmt.Sprintf("m-%06d", i+1), 1} })
	edited, recalled := act("many")
	t.Logf("an edit looks at %d pages, a recall at %d, with few mentions at %d and %d", edited, recalled, editedFew, recalledFew)
	if edited > 2*editedFew+100 || recalled > 2*recalledFew+100 {
		t.Errorf("an edit looks at %d pages, a recall at %d, with few mentions at %d and %d", edited, recalled, editedFew, recalledFew)
	}
	if got := w.number("SELECT count(*) FROM mentions WHERE conversation_id = ?", id); got != many {
		t.Errorf("%d mentions are left, want the %d of others", got, many)
	}
}

// TestOwnSignsAmongMany reads a message under which very many gave signs: which are the reader's own costs the same.
func TestOwnSignsAmongMany(t *testing.T) {
	t.Parallel()
	const many = 20_000
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil, "bob", "cid")
	first, second := n.say("ann", id, "first", "x").GetSeq(), n.say("ann", id, "second", "x").GetSeq()
	n.react("cid", id, first, "A")
	n.react("bob", id, first, "B")
	n.react("cid", id, second, "B")
	n.react("bob", id, second, "A")
	n.react("cid", id, second, "one\"of\\these")
	mine := func() (keys []string, pages int64) {
		_, pages = n.pages(func() {
			for _, m := range n.page("cid", id) {
				for _, r := range m.GetReactions() {
					if r.GetMine() {
						keys = append(keys, r.GetKey())
					} else {
						keys = append(keys, "not "+r.GetKey())
					}
				}
			}
		})
		return keys, pages
	}
	want := []string{"A", "not B", "B", "not A", "one\"of\\these"}
	mine()
	keys, few := mine()
	if !slices.Equal(keys, want) {
		t.Errorf("signs are %v, want %v", keys, want)
	}
	for _, key := range []string{"A", "B"} {
		w.insert("reactions (conversation_id, seq, `key`, user_id)", many, func(i int) []any {
			return []any{id, first, key, fmt.Sprintf("m-%06d", i+1)}
		})
	}
	keys, pages := mine()
	t.Logf("it looks at %d pages, with few signs at %d", pages, few)
	if !slices.Equal(keys, want) || pages > 2*few+50 {
		t.Errorf("signs are %v, for %d pages; with few signs for %d", keys, pages, few)
	}
}
