package live_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// directory is auth's side.
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	mu        sync.Mutex
	banned    []string
	down      bool
	nicknames map[string]string // by user, newest last; what is not in it is "nick " and the id
	newest    []string
	guests    []string
	searches  int
}

// call gives somebody a nickname by which they are found.
func (d *directory) call(id, nickname string) {
	d.set(func(d *directory) {
		if d.nicknames == nil {
			d.nicknames = make(map[string]string)
		}
		if d.nicknames[id] == "" {
			d.newest = append([]string{id}, d.newest...)
		}
		d.nicknames[id] = nickname
	})
}

func (d *directory) user(id string) *authv1.User {
	return &authv1.User{Id: id, Username: "name-" + id, Nickname: cmp.Or(d.nicknames[id], "nick "+id)}
}

func (d *directory) BatchGetUsers(_ context.Context, r *authv1.BatchGetUsersRequest) (*authv1.BatchGetUsersResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "auth is away")
	}
	res := &authv1.BatchGetUsersResponse{}
	for _, id := range r.GetUserIds() {
		if id != "ghost" {
			res.Users = append(res.Users, d.user(id))
		}
		if slices.Contains(d.banned, id) {
			res.BannedUserIds = append(res.BannedUserIds, id)
		}
	}
	return res, nil
}

func (d *directory) set(change func(d *directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *directory) ListUsers(_ context.Context, r *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.searches++
	if d.down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "auth is away")
	}
	if !r.GetNicknameOnly() {
		return nil, errs.InvalidArgument("PEEKING", "by the names that people sign in with")
	}
	res := &authv1.ListUsersResponse{}
	for i := slices.Index(d.newest, r.GetPageToken()) + 1; i < len(d.newest); i++ {
		u := d.user(d.newest[i])
		if slices.Contains(d.guests, u.GetId()) { // nickname_only leaves them out
			continue
		}
		if !strings.Contains(strings.ToLower(u.GetNickname()), strings.ToLower(r.GetQuery())) {
			continue
		}
		if len(res.GetAccounts()) == int(r.GetPageSize()) {
			res.NextPageToken = res.GetAccounts()[len(res.GetAccounts())-1].GetUser().GetId()
			break
		}
		res.Accounts = append(res.Accounts, &authv1.Account{User: u})
	}
	return res, nil
}

// site is the settings of the installation.
type site struct {
	mu     sync.Mutex
	closed bool
	down   bool
	asked  int
}

func (s *site) GetSite(context.Context, *sitev1.GetSiteRequest) (*sitev1.GetSiteResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "the settings are away")
	}
	return &sitev1.GetSiteResponse{Site: &sitev1.Site{Name: "Stoa", SignUpEnabled: true, RoomCreationEnabled: !s.closed}}, nil
}

func (s *site) set(change func(s *site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// conversations is chat's side.
type conversations struct {
	chatv1connect.UnimplementedConversationServiceHandler

	mu    sync.Mutex
	owner map[string]string // by conversation
	down  bool
}

func (c *conversations) CreateConversation(
	_ context.Context, r *chatv1.CreateConversationRequest,
) (*chatv1.CreateConversationResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "chat is away")
	}
	if r.GetKind() != chatv1.ConversationKind_CONVERSATION_KIND_LIVE_ROOM {
		return nil, errs.InvalidArgument("KIND", "not a live room's")
	}
	c.owner[r.GetConversationId()] = r.GetOwnerId()
	return &chatv1.CreateConversationResponse{}, nil
}

func (c *conversations) set(change func(c *conversations)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}
