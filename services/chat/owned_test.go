package chat_test

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// maxOwned is how many groups a user may own.
const maxOwned = 500

// own gives users many groups each, in the store itself, like one that is there.
func (w *world) own(id string, groups int, owner string) {
	w.t.Helper()
	kind := w.number("SELECT kind FROM conversations WHERE id = ?", id)
	w.insert("conversations (id, kind, owner_id, created_at)", groups, func(i int) []any {
		return []any{fmt.Sprintf("01JGROUP%018d-%s", i+1, owner), kind, owner, w.clock.now()}
	})
}

// pages is how many pages of the database one act looks at, on the connection that writes and on the one that reads.
func (n *node) pages(act func()) (written, read int64) {
	n.t.Helper()
	writtenBefore, readBefore, err := n.service.PagesRead(n.t.Context())
	n.must(err)
	act()
	written, read, err = n.service.PagesRead(n.t.Context())
	n.must(err)
	return written - writtenBefore, read - readBefore
}

// TestMakingAGroupAmongMany makes groups where there are very many of others: what that costs does not grow with them.
func TestMakingAGroupAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil)
	measure := func(name string) int64 {
		written, _ := n.pages(func() {
			_, err := n.groups("ann").CreateGroup(t.Context(), &chatv1.CreateGroupRequest{RequestId: "request-" + name, Title: "x"})
			n.must(err)
		})
		return written
	}
	few := measure("among-few")
	w.own(id, 30_000, "others")
	many := measure("among-many")
	t.Logf("among 30,000 groups it looks at %d pages, else at %d", many, few)
	if many > 2*few+100 {
		t.Errorf("among 30,000 groups it looks at %d pages, else at %d", many, few)
	}
}

// TestNobodyIsGivenTooManyGroups gives a group to somebody who owns as many as one may, and again when they ended one.
func TestNobodyIsGivenTooManyGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id, own := n.group("ann", nil, "bob"), n.group("bob", nil)
	w.own(own, maxOwned-1, "bob")
	give := func(user string) error {
		_, err := n.groups("ann").TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: id, UserId: user})
		return err
	}
	assertRefused(t, "one too many", give("bob"), connect.CodeResourceExhausted, chat.ReasonTooManyGroups)
	if c := n.state("bob", id); c.GetConversation().GetOwnerId() != "ann" || c.GetMembership().GetRole() != chatv1.MemberRole_MEMBER_ROLE_MEMBER {
		t.Errorf("after what was refused he has %v", c)
	}
	assertRefused(t, "a stranger", give("cid"), connect.CodeNotFound, chat.ReasonMemberNotFound)
	_, err := n.groups("bob").DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: own})
	n.must(err)
	n.must(give("bob"))
	if c := n.state("bob", id).GetConversation(); c.GetOwnerId() != "bob" {
		t.Errorf("it is %v", c)
	}
}
