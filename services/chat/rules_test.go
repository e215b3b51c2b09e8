package chat_test

import (
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// TestNobodyMeansAStranger mentions people who are not, or not any more, in a conversation, in a new message and in an edit.
func TestNobodyMeansAStranger(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid")
	said := n.say("bob", id, "edited", "x").GetSeq()
	_, err := n.groups("cid").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	n.must(err)
	before := n.state("ann", id).GetConversation()
	for _, who := range []string{"dan", "ghost", "cid"} {
		mentions := &chatv1.Mentions{UserIds: []string{"ann", who}}
		_, err := n.as("bob").SendMessage(ctx, &chatv1.SendMessageRequest{
			ConversationId: id, ClientMsgId: "message-to-" + who, Content: text("x"), Mentions: mentions,
		})
		assertRefused(t, "a message to "+who, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
		_, err = n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: said, Content: text("y"), Mentions: mentions})
		assertRefused(t, "an edit to "+who, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	}
	after := n.state("ann", id)
	if c := after.GetConversation(); c.GetLastSeq() != before.GetLastSeq() || c.GetLastChange() != 0 || after.GetMembership().GetUnreadMentions() != 0 {
		t.Errorf("after what was refused it is %v", after)
	}
}

// TestNobodyForwardsWhatTheyHid forwards a message before and after its reader hid it.
func TestNobodyForwardsWhatTheyHid(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id, other := n.group("ann", nil, "bob"), n.direct("bob", "cid")
	seq, next := n.say("ann", id, "hidden", "x").GetSeq(), n.say("ann", id, "shown", "y").GetSeq()
	forward := func(request string, seqs ...int64) error {
		_, err := n.as("bob").ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
			FromConversationId: id, Seqs: seqs, ToConversationId: other, RequestId: request,
		})
		return err
	}
	n.must(forward("request-1", seq))
	_, err := n.as("bob").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{seq}})
	n.must(err)
	assertRefused(t, "what he hid", forward("request-2", next, seq), connect.CodeNotFound, chat.ReasonMessageNotFound)
	if got := n.page("cid", other); len(got) != 1 || got[0].GetContent().GetText().GetText() != "x" {
		t.Errorf("the other reads %v", got) // nothing of what was refused
	}
	n.must(forward("request-3", next))
}

// TestARoomKeepsNobodysPositions asks in a live room for what only conversations with members have.
func TestARoomKeepsNobodysPositions(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	seq := n.send("ann", "in-a-room", "x").GetSeq()
	moved, err := n.as("ann").AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{Advances: []*chatv1.Advance{{ConversationId: room, ReadSeq: seq}}})
	if err != nil || len(moved.GetPositions()) != 1 || moved.GetPositions()[0].GetGone() || moved.GetPositions()[0].GetMembership() != nil {
		t.Errorf("positions: %v, %v", moved, err)
	}
	receipts, err := n.as("ann").GetReceipts(ctx, &chatv1.GetReceiptsRequest{ConversationId: room, Seqs: []int64{seq}})
	if err != nil || len(receipts.GetReceipts()) != 0 {
		t.Errorf("receipts: %v, %v", receipts, err)
	}
	state := n.state("ann", room)
	if state.GetMembership() != nil || state.GetLastMessage().GetSeq() != seq {
		t.Errorf("it is %v", state)
	}
	_, err = n.groups("ann").ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: room})
	assertRefused(t, "members of a room", err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	_, err = n.groups("owner").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: room})
	assertRefused(t, "who leaves a room as if it were a group", err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	page, err := n.as("ann").Sync(ctx, &chatv1.SyncRequest{})
	if err != nil || len(page.GetStates()) != 0 {
		t.Errorf("a room is in the list: %v, %v", page, err)
	}
}

// TestOwnSettings changes how one has a conversation: what the mask names, and nothing else.
func TestOwnSettings(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.direct("ann", "bob")
	set := func(s *chatv1.MemberSettings, paths ...string) (*chatv1.MemberSettings, error) {
		res, err := n.as("ann").UpdateSettings(t.Context(), &chatv1.UpdateSettingsRequest{
			ConversationId: id, Settings: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return res.GetMembership().GetSettings(), err
	}
	all := &chatv1.MemberSettings{Silent: true, Pinned: true, Archived: true}
	got, err := set(all, "pinned")
	n.must(err)
	if got.GetSilent() || !got.GetPinned() || got.GetArchived() {
		t.Errorf("they are %v", got)
	}
	_, err = set(&chatv1.MemberSettings{}, "pinned", "role")
	assertRefused(t, "what is not theirs to set", err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	if got := n.state("ann", id).GetMembership().GetSettings(); !got.GetPinned() {
		t.Errorf("after what was refused they are %v", got)
	}
	got, err = set(all)
	n.must(err)
	if !got.GetSilent() || !got.GetPinned() || !got.GetArchived() {
		t.Errorf("without a mask they are %v", got)
	}
	if got := n.state("bob", id).GetMembership().GetSettings(); got.GetSilent() || got.GetPinned() {
		t.Errorf("the other has %v", got)
	}
}
