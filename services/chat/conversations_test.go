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
