package chat_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// groups returns a user's client of groups.
func (n *node) groups(user string) chatv1connect.GroupServiceClient {
	n.t.Helper()
	return chatv1connect.NewGroupServiceClient(n.server.Client(), n.server.URL(), n.As(n.t, n.User(user, authv1.Role_ROLE_USER)))
}

// group makes a group of an owner and members, and returns its id.
func (n *node) group(owner string, settings *chatv1.GroupSettings, members ...string) string {
	n.t.Helper()
	res, err := n.groups(owner).CreateGroup(n.t.Context(), &chatv1.CreateGroupRequest{
		RequestId: "request-" + owner + "-" + fmt.Sprint(time.Now().UnixNano()), Title: "A group", UserIds: members, Settings: settings,
	})
	n.must(err)
	return res.GetState().GetConversation().GetId()
}

// direct returns the direct conversation of two.
func (n *node) direct(one, other string) string {
	n.t.Helper()
	res, err := n.as(one).OpenDirect(n.t.Context(), &chatv1.OpenDirectRequest{UserId: other})
	n.must(err)
	return res.GetState().GetConversation().GetId()
}

// say sends a message that must succeed.
func (n *node) say(user, conversation, id, s string) *chatv1.Message {
	n.t.Helper()
	res, err := n.as(user).SendMessage(n.t.Context(), sending(conversation, id, s))
	n.must(err)
	return res.GetMessage()
}

// state is a conversation as a user has it.
func (n *node) state(user, conversation string) *chatv1.ConversationState {
	n.t.Helper()
	res, err := n.as(user).GetConversation(n.t.Context(), &chatv1.GetConversationRequest{ConversationId: conversation})
	n.must(err)
	return res.GetState()
}

// reads returns the numbers of the messages that a user may read.
func (n *node) reads(user, conversation string) (all []int64) {
	n.t.Helper()
	res, err := n.as(user).ListMessages(n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: conversation, PageSize: 200})
	n.must(err)
	for _, m := range res.GetMessages() {
		all = append(all, m.GetSeq())
	}
	return all
}

func assertRefused(t *testing.T, what string, err error, code connect.Code, reason string) {
	t.Helper()
	if !errs.Is(err, code, reason) {
		t.Errorf("%s: got %v (%s), want %v (%s)", what, err, errs.Reason(err), code, reason)
	}
}

func TestOneDirectConversationForAPair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ids := make([]string, 12)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			pair := [2]string{"ann", "bob"}
			ids[i] = n.direct(pair[i%2], pair[(i+1)%2])
		})
	}
	all.Wait()
	if len(slices.Compact(slices.Clone(ids))) != 1 || ids[0] == "" {
		t.Errorf("they have %v", ids)
	}
	state := n.state("bob", ids[0])
	if got := state.GetConversation().GetUserIds(); !slices.Equal(got, []string{"ann", "bob"}) || state.GetConversation().GetMemberCount() != 2 {
		t.Errorf("it is %v", state)
	}
	n.say("ann", ids[0], "hello", "hello")
	if other := n.direct("ann", "cid"); other == ids[0] || len(n.reads("cid", other)) != 0 {
		t.Error("another pair shares it")
	}
	_, err := n.as("ann").OpenDirect(t.Context(), &chatv1.OpenDirectRequest{UserId: "ann"})
	assertRefused(t, "with oneself", err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	_, err = n.as("ann").OpenDirect(t.Context(), &chatv1.OpenDirectRequest{UserId: "ghost"})
	assertRefused(t, "with nobody", err, connect.CodeNotFound, chat.ReasonUserNotFound)
	n.close()
	n = w.boot(fast())
	if again := n.direct("bob", "ann"); again != ids[0] || !slices.Equal(n.reads("bob", again), []int64{1}) {
		t.Error("after a restart it is another one")
	}
}

func TestAGroupsLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	wish := &chatv1.CreateGroupRequest{RequestId: "request-1", Title: " Friends ", UserIds: []string{"ann", "bob", "cid"}}
	made, err := n.groups("ann").CreateGroup(ctx, wish)
	n.must(err)
	id := made.GetState().GetConversation().GetId()
	again, err := n.groups("ann").CreateGroup(ctx, wish)
	if err != nil || again.GetState().GetConversation().GetId() != id {
		t.Errorf("the same wish again: %v, %v", again, err)
	}
	if c := made.GetState().GetConversation(); c.GetTitle() != "Friends" || c.GetMemberCount() != 3 || c.GetOwnerId() != "ann" {
		t.Errorf("made %v", c)
	}
	n.say("ann", id, "one", "welcome")
	v := n.watchIn(n.as("bob"), id, nil)

	_, err = n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"dan"}})
	n.must(err)
	before := len(n.reads("ann", id))
	n.say("dan", id, "two", "here I am")
	if got := n.reads("dan", id); len(got) != 2 { // that he was added, and what he said
		t.Errorf("a newcomer reads %v", got)
	}
	if got := n.reads("ann", id); len(got) != before+1 {
		t.Errorf("the owner reads %v", got)
	}
	v.until("dan came", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool {
			m := e.GetMembers().GetMembers()
			return len(m) == 1 && m[0].GetUser().GetNickname() == "dan" && m[0].GetRole() == chatv1.MemberRole_MEMBER_ROLE_MEMBER
		})
	})

	_, err = n.groups("bob").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"eve"}})
	assertRefused(t, "a member adds", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	_, err = n.groups("eve").JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: id})
	assertRefused(t, "a stranger joins", err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	_, err = n.groups("ann").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	assertRefused(t, "the owner leaves", err, connect.CodeFailedPrecondition, chat.ReasonOwnerStays)

	_, err = n.groups("ann").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
		ConversationId: id, UserId: "bob", Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
	})
	n.must(err)
	_, err = n.groups("bob").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: id, UserIds: []string{"dan", "nobody"}})
	n.must(err)
	_, err = n.as("dan").ListMessages(ctx, &chatv1.ListMessagesRequest{ConversationId: id})
	assertRefused(t, "who was removed reads", err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	_, err = n.groups("bob").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: id, UserIds: []string{"ann"}})
	assertRefused(t, "an admin removes the owner", err, connect.CodePermissionDenied, errs.ReasonForbidden)

	_, err = n.groups("bob").BanUser(ctx, &chatv1.BanUserRequest{ConversationId: id, UserId: "cid", Reason: "spam"})
	n.must(err)
	_, err = n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"cid"}})
	assertRefused(t, "the banned is added", err, connect.CodeFailedPrecondition, chat.ReasonUserBanned)
	banned, err := n.groups("ann").ListBannedUsers(ctx, &chatv1.ListBannedUsersRequest{ConversationId: id})
	if err != nil || len(banned.GetBans()) != 1 || banned.GetBans()[0].GetReason() != "spam" {
		t.Errorf("banned: %v, %v", banned, err)
	}
	_, err = n.groups("ann").UnbanUser(ctx, &chatv1.UnbanUserRequest{ConversationId: id, UserId: "cid"})
	n.must(err)
	_, err = n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"cid"}})
	n.must(err)

	_, err = n.groups("ann").TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: id, UserId: "bob"})
	n.must(err)
	if s := n.state("ann", id); s.GetConversation().GetOwnerId() != "bob" || s.GetMembership().GetRole() != chatv1.MemberRole_MEMBER_ROLE_ADMIN {
		t.Errorf("after giving it away: %v", s)
	}
	_, err = n.groups("ann").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	n.must(err)
	_, err = n.groups("bob").DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: id})
	n.must(err)
	_, err = n.groups("bob").DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: id})
	n.must(err)
	if len(n.reads("cid", id)) == 0 {
		t.Error("an ended group cannot be read")
	}
	_, err = n.as("cid").SendMessage(ctx, sending(id, "too late", "x"))
	assertRefused(t, "a message after the end", err, connect.CodeFailedPrecondition, chat.ReasonGroupDisbanded)
}

func TestGroupSettings(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", &chatv1.GroupSettings{
		History: chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL, Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN,
	}, "bob")
	n.say("ann", id, "old", "long ago")
	for range 2 { // joining again is no error
		_, err := n.groups("cid").JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: id})
		n.must(err)
	}
	if got := n.reads("cid", id); got[0] != 1 {
		t.Errorf("a newcomer reads %v of all history", got)
	}
	update := func(user string, s *chatv1.GroupSettings, paths ...string) error {
		_, err := n.groups(user).UpdateGroup(ctx, &chatv1.UpdateGroupRequest{
			ConversationId: id, Settings: s, Title: "New", Announcement: "Hear, hear", UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return err
	}
	assertRefused(t, "a member", update("bob", nil, "title"), connect.CodePermissionDenied, errs.ReasonForbidden)
	assertRefused(t, "no such field", update("ann", nil, "owner_id"), connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	n.must(update("ann", &chatv1.GroupSettings{MutedAll: true}, "title", "announcement", "settings.muted_all"))
	if c := n.state("bob", id).GetConversation(); c.GetTitle() != "New" || c.GetAnnouncement() != "Hear, hear" || !c.GetSettings().GetMutedAll() ||
		c.GetSettings().GetJoin() != chatv1.JoinPolicy_JOIN_POLICY_OPEN {
		t.Errorf("it is %v", c)
	}
	_, err := n.as("bob").SendMessage(ctx, sending(id, "muted-all", "x"))
	assertRefused(t, "while all are muted", err, connect.CodePermissionDenied, chat.ReasonMuted)
	n.say("ann", id, "owner talks", "x")
	n.must(update("ann", &chatv1.GroupSettings{}, "settings.muted_all"))
	n.say("bob", id, "again", "x")

	until := time.Now().Add(time.Hour)
	mute := func(at *timestamppb.Timestamp) error {
		_, err := n.groups("ann").MuteMember(ctx, &chatv1.MuteMemberRequest{ConversationId: id, UserId: "bob", Until: at})
		return err
	}
	n.must(mute(timestamppb.New(until)))
	_, err = n.as("bob").SendMessage(ctx, sending(id, "muted-one", "x"))
	assertRefused(t, "the muted", err, connect.CodePermissionDenied, chat.ReasonMuted)
	if errs.Metadata(err)["muted_until"] == "" {
		t.Errorf("until when is not said: %v", errs.Metadata(err))
	}
	n.clock.advance(2 * time.Hour)
	n.say("bob", id, "over", "x")
	assertRefused(t, "a time that is over", mute(timestamppb.New(until)), connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
}

// TestMembersAreSyncedIncrementally never reads the whole list again.
func TestMembersAreSyncedIncrementally(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	var people []string
	for i := range 150 {
		people = append(people, fmt.Sprintf("user-%03d", i))
	}
	id := n.group("ann", nil, people...)
	known := make(map[string]chatv1.MemberRole)
	token, version := "", int64(0)
	for {
		page, err := n.groups("user-000").ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: id, PageSize: 40, PageToken: token})
		n.must(err)
		if version == 0 {
			version = page.GetMemberVersion()
			if page.GetMembers()[0].GetUser().GetId() != "ann" {
				t.Errorf("the owner is not first: %v", page.GetMembers()[0])
			}
		}
		for _, m := range page.GetMembers() {
			known[m.GetUser().GetId()] = m.GetRole()
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(known) != 151 {
		t.Fatalf("listed %d members", len(known))
	}
	_, err := n.groups("ann").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: id, UserIds: people[:5]})
	n.must(err)
	_, err = n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"new"}})
	n.must(err)
	changes := 0
	for done := false; !done; {
		page, err := n.groups("user-100").SyncMembers(ctx, &chatv1.SyncMembersRequest{ConversationId: id, AfterVersion: version, PageSize: 2})
		n.must(err)
		for _, m := range page.GetMembers() {
			changes++
			known[m.GetUser().GetId()] = m.GetRole()
		}
		version, done = page.GetVersion(), page.GetDone()
	}
	here := 0
	for _, role := range known {
		if role != chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
			here++
		}
	}
	if changes != 6 || here != 147 || int64(n.state("ann", id).GetConversation().GetMemberVersion()) != version {
		t.Errorf("%d changes lead to %d members at version %d", changes, here, version)
	}
}

// TestMembersInTheOrderOfJoining lists who came, went and came back, in pages: within a role, who came back joined last.
func TestMembersInTheOrderOfJoining(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid", "dan", "eve")
	for _, user := range []string{"bob", "dan"} {
		n.leave(user, id)
	}
	n.add("ann", id, "dan")
	n.add("ann", id, "fay", "bob")
	_, err := n.groups("ann").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
		ConversationId: id, UserId: "eve", Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
	})
	n.must(err)
	for size := range int32(7) {
		var got []string
		var last *chatv1.Member
		for token, first := "", true; first || token != ""; first = false {
			page, err := n.groups("cid").ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: id, PageSize: size, PageToken: token})
			n.must(err)
			for _, m := range page.GetMembers() {
				if last.GetRole() == m.GetRole() && m.GetJoinedAt().AsTime().Before(last.GetJoinedAt().AsTime()) {
					t.Errorf("%v comes after %v", m, last)
				}
				got, last = append(got, m.GetUser().GetId()), m
			}
			token = page.GetNextPageToken()
		}
		slices.Sort(got[4:]) // who came with one commit
		if !slices.Equal(got, []string{"ann", "eve", "cid", "dan", "bob", "fay"}) {
			t.Errorf("in pages of %d they are %v", size, got)
		}
	}
}

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
	methods := chatv1.File_stoa_chat_v1_chat_service_proto.Services().Get(0).Methods().Len() +
		chatv1.File_stoa_chat_v1_group_service_proto.Services().Get(0).Methods().Len()
	// Besides those in the table: PullMessages and AdvancePositions, and Sync, OpenDirect and CreateGroup, which name none.
	if want := len(nowhere) - 1 + 5; methods != want {
		t.Errorf("there are %d RPCs, and %d are tried", methods, want)
	}
}
