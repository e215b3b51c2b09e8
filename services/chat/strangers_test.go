package chat_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// TestStrangersLearnNothing calls every RPC about a conversation that is not the caller's, and about one that does not
// exist: nobody can tell which is which.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.group("ann", nil, "bob")
	n.say("ann", id, "secret", "x")
	pair := n.direct("ann", "bob")
	ctx := t.Context()
	users := []string{"eve"}
	calls := func(c string) map[string]error {
		k, g := n.as("eve"), n.groups("eve")
		out := make(map[string]error)
		_, out["SendMessage"] = k.SendMessage(ctx, sending(c, "stranger", "x"))
		_, out["ForwardMessages"] = k.ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{FromConversationId: c, Seqs: []int64{1}, ToConversationId: room, RequestId: "12345678"})
		_, out["ForwardMessages to"] = k.ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{FromConversationId: room, Seqs: []int64{1}, ToConversationId: c, RequestId: "12345678"})
		_, out["EditMessage"] = k.EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: c, Seq: 1, Content: text("x")})
		_, out["RecallMessage"] = k.RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: c, Seq: 1})
		_, out["HideMessages"] = k.HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: c, Seqs: []int64{1}})
		_, out["ListHidden"] = k.ListHidden(ctx, &chatv1.ListHiddenRequest{ConversationId: c})
		_, out["SetReaction"] = k.SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: c, Seq: 1, Key: "+1"})
		_, out["ListReactions"] = k.ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: c, Seq: 1})
		_, out["PinMessage"] = k.PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: c, Seq: 1})
		_, out["ListPins"] = k.ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: c})
		_, out["ListMessages"] = k.ListMessages(ctx, &chatv1.ListMessagesRequest{ConversationId: c})
		_, out["GetConversation"] = k.GetConversation(ctx, &chatv1.GetConversationRequest{ConversationId: c})
		_, out["UpdateSettings"] = k.UpdateSettings(ctx, &chatv1.UpdateSettingsRequest{ConversationId: c, Settings: &chatv1.MemberSettings{}})
		_, out["GetReceipts"] = k.GetReceipts(ctx, &chatv1.GetReceiptsRequest{ConversationId: c, Seqs: []int64{1}})
		_, out["ListReaders"] = k.ListReaders(ctx, &chatv1.ListReadersRequest{ConversationId: c, Seq: 1})
		_, out["Like"] = k.Like(ctx, &chatv1.LikeRequest{ConversationId: c, Count: 1})
		_, out["UpdateGroup"] = g.UpdateGroup(ctx, &chatv1.UpdateGroupRequest{ConversationId: c, Title: "x", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
		_, out["AddMembers"] = g.AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: c, UserIds: users})
		_, out["JoinGroup"] = g.JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: c})
		_, out["LeaveGroup"] = g.LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: c})
		_, out["RemoveMembers"] = g.RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: c, UserIds: users})
		_, out["SetMemberRole"] = g.SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{ConversationId: c, UserId: "bob", Role: 2})
		_, out["TransferGroup"] = g.TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: c, UserId: "bob"})
		_, out["DisbandGroup"] = g.DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: c})
		_, out["MuteMember"] = g.MuteMember(ctx, &chatv1.MuteMemberRequest{ConversationId: c, UserId: "bob"})
		_, out["BanUser"] = g.BanUser(ctx, &chatv1.BanUserRequest{ConversationId: c, UserId: "bob"})
		_, out["UnbanUser"] = g.UnbanUser(ctx, &chatv1.UnbanUserRequest{ConversationId: c, UserId: "bob"})
		_, out["ListBannedUsers"] = g.ListBannedUsers(ctx, &chatv1.ListBannedUsersRequest{ConversationId: c})
		_, out["ListMembers"] = g.ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: c})
		_, out["SyncMembers"] = g.SyncMembers(ctx, &chatv1.SyncMembersRequest{ConversationId: c})
		for name, err := range n.askFor("eve", c) {
			out[name] = err
		}
		return out
	}
	n.send("eve", "in the room", "x")
	nowhere := calls("01JNOBODY00000000000000000")
	for name, c := range map[string]string{"a group": id, "a pair": pair} {
		for rpc, err := range calls(c) {
			if !errs.Is(err, connect.CodeNotFound, chat.ReasonConversationNotFound) || err.Error() != nowhere[rpc].Error() {
				t.Errorf("%s of %s: %v, and where there is none: %v", rpc, name, err, nowhere[rpc])
			}
		}
	}
	for _, c := range []string{id, pair, "01JNOBODY00000000000000000"} {
		pulled, err := n.as("eve").PullMessages(ctx, &chatv1.PullMessagesRequest{Have: []*chatv1.Have{{ConversationId: c}}})
		if err != nil || !pulled.GetConversations()[0].GetGone() || len(pulled.GetConversations()[0].GetMessages()) != 0 {
			t.Errorf("pulled %v, %v", pulled, err)
		}
		moved, err := n.as("eve").AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{Advances: []*chatv1.Advance{{ConversationId: c, ReadSeq: 1}}})
		if err != nil || !moved.GetPositions()[0].GetGone() || moved.GetPositions()[0].GetMembership() != nil {
			t.Errorf("moved %v, %v", moved, err)
		}
	}
	ids, err := n.neighbour("edge").ListConversationIds(ctx, &chatv1.ListConversationIdsRequest{UserId: "eve"})
	if err != nil || len(ids.GetConversationIds()) != 0 {
		t.Errorf("eve's conversations are %v, %v", ids.GetConversationIds(), err)
	}
	contacts, err := n.neighbour("presence").FilterContacts(ctx, &chatv1.FilterContactsRequest{UserId: "eve", UserIds: []string{"ann", "bob"}})
	if err != nil || len(contacts.GetUserIds()) != 0 {
		t.Errorf("eve's contacts are %v, %v", contacts.GetUserIds(), err)
	}
	tried := map[string]bool{
		"PullMessages": true, "AdvancePositions": true, "Sync": true, "OpenDirect": true, "CreateGroup": true, // the last three name none
		"ListConversationIds": true, "FilterContacts": true,
	}
	for name := range nowhere {
		name, _, _ = strings.Cut(name, " ")
		tried[name] = true
	}
	for _, file := range []protoreflect.FileDescriptor{
		chatv1.File_stoa_chat_v1_chat_service_proto, chatv1.File_stoa_chat_v1_group_service_proto,
		chatv1.File_stoa_chat_v1_conversation_service_proto,
	} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			if name := string(methods.Get(i).Name()); !tried[name] && !ofTheHouse[name] {
				t.Errorf("%s is not tried", name)
			}
		}
	}
}

// ofTheHouse are the RPCs by which neighbours act, and no user through them.
var ofTheHouse = map[string]bool{
	"CreateConversation": true, "DeleteMessage": true, "MuteUser": true, "UnmuteUser": true, "ListMutes": true,
	"SendSystemMessage": true, "GetTotals": true,
}

// askFor calls what neighbours ask about a conversation in a user's name.
func (n *node) askFor(user, conversation string) map[string]error {
	n.t.Helper()
	ctx, k := n.t.Context(), n.neighbour("edge")
	out := make(map[string]error)
	for name, r := range map[string]*chatv1.GetRoomRequest{
		"GetRoom": {}, "GetRoom unseen": {Unseen: true}, "GetRoom of the staff": {Staff: true, Unseen: true},
	} {
		r.ConversationId, r.UserId = conversation, user
		_, out[name] = k.GetRoom(ctx, r)
	}
	_, out["ListMemberIds"] = k.ListMemberIds(ctx, &chatv1.ListMemberIdsRequest{ConversationId: conversation, UserId: user})
	return out
}

// TestOnlyRoomsAreEntered: what is no room is entered by nobody, neither by its owner and members nor unseen by the staff.
func TestOnlyRoomsAreEntered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	open := &chatv1.GroupSettings{
		Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN, History: chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL,
	}
	_, err := n.neighbour("admin").SendSystemMessage(t.Context(), &chatv1.SendSystemMessageRequest{
		UserIds: []string{"ann"}, ClientMsgId: "to-all-of-us", Content: text("x"),
	})
	w.must(err)
	ids, err := n.neighbour("edge").ListConversationIds(t.Context(), &chatv1.ListConversationIdsRequest{UserId: "ann"})
	w.must(err)
	for what, c := range map[string]string{
		"a group": n.group("ann", nil, "bob"), "an open group": n.group("ann", open, "bob"), "a pair": n.direct("ann", "bob"),
		"the house's": ids.GetConversationIds()[0],
	} {
		for _, user := range []string{"ann", "bob", "eve"} {
			for name, err := range n.askFor(user, c) {
				if strings.HasPrefix(name, "GetRoom") {
					assertRefused(t, name+" of "+what+" by "+user, err, connect.CodeNotFound, chat.ReasonConversationNotFound)
				}
			}
		}
	}
	w.must(n.askFor("eve", room)["GetRoom"])
}
