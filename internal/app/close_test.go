package app_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

func TestCloseTellsStreamsToComeBack(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	owner := s.User(t, "owner")
	room := as(s, binary, owner.Token).openRoom(t, "A room")
	streams := make(map[string]*subscription)
	for _, p := range testkit.Protocols() {
		streams[p.Name], _ = as(s, p, owner.Token).subscribe(t, room.GetConversationId())
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for name, stream := range streams {
		refused(t, name, stream.end(), connect.CodeUnavailable, "DRAINING")
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if strings.Contains(s.Log.String(), "calls were cut") {
		t.Errorf("calls were cut:\n%s", s.Log)
	}
	if res, err := s.HTTP1.Get(s.URL + "/healthz"); err == nil {
		_ = res.Body.Close()
		t.Error("it still answers")
	}
}

func TestRevokedSessionsEndTheirStreams(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	room := as(s, binary, s.User(t, "owner").Token).openRoom(t, "A room")
	operator := as(s, binary, s.Operator(t).Token)
	for name, revoke := range map[string]func(*testing.T, testkit.Person) error{
		"signed out": func(t *testing.T, p testkit.Person) error {
			_, err := as(s, binary, p.Token).auth.SignOut(t.Context(), &authv1.SignOutRequest{})
			return err
		},
		"device revoked": func(t *testing.T, p testkit.Person) error {
			_, err := as(s, binary, p.Token).auth.RevokeDevice(t.Context(), &authv1.RevokeDeviceRequest{DeviceId: p.DeviceID})
			return err
		},
		"banned": func(t *testing.T, p testkit.Person) error {
			_, err := operator.admin.BanUser(t.Context(), &adminv1.BanUserRequest{UserId: p.User.GetId(), Reason: "spam"})
			return err
		},
		// The last one but one may be a retry; older ones were used twice.
		"refresh token used twice": func(t *testing.T, p testkit.Person) error {
			refresh := func(token string) (string, error) {
				res, err := as(s, binary, "").auth.RefreshToken(t.Context(), &authv1.RefreshTokenRequest{RefreshToken: token})
				return res.GetRefreshToken(), err
			}
			second, err := refresh(p.Refresh)
			if err != nil {
				return err
			}
			if _, err := refresh(second); err != nil {
				return err
			}
			_, err = refresh(p.Refresh)
			refused(t, "the first one again", err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			person := s.User(t, "person")
			var streams []*subscription
			for _, p := range testkit.Protocols() {
				if strings.Contains(p.Name, "binary") {
					stream, _ := as(s, p, person.Token).subscribe(t, room.GetConversationId())
					streams = append(streams, stream)
				}
			}
			if err := revoke(t, person); err != nil {
				t.Fatal(err)
			}
			for _, stream := range streams {
				refused(t, "a stream", stream.end(), connect.CodeUnauthenticated, authn.ReasonSessionRevoked)
			}
			awaitRevoked(t, s, person.Token)
			_, err := as(s, binary, "").auth.RefreshToken(t.Context(), &authv1.RefreshTokenRequest{RefreshToken: person.Refresh})
			if err == nil {
				t.Error("the session is renewed")
			}
		})
	}
}

// TestRestart closes a process and starts another one on its data.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	same := func(c *config.Serve) { c.DataDir, c.Store = s.DataDir, s.Store }
	kept, gone := s.User(t, "kept"), s.Guest(t)
	room := as(s, binary, kept.Token).openRoom(t, "A room")
	sent := as(s, binary, kept.Token).say(t, room.GetConversationId(), "before")
	if _, err := as(s, binary, gone.Token).auth.SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := testkit.Start(t, same)
	_, err := as(again, binary, gone.Token).auth.GetMe(t.Context(), &authv1.GetMeRequest{})
	refused(t, "a session that was revoked before", err, connect.CodeUnauthenticated, authn.ReasonSessionRevoked)
	me := as(again, binary, kept.Token)
	next := me.say(t, room.GetConversationId(), "after")
	if next.GetEpoch() != sent.GetEpoch() || next.GetSeq() != sent.GetSeq()+1 {
		t.Errorf("%v follows %v", next, sent)
	}
	list, err := me.chat.ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: room.GetConversationId()})
	if err != nil || len(list.GetMessages()) != 2 {
		t.Errorf("messages: %v, %v", list, err)
	}
	again.Operator(t) // by the same key
}
