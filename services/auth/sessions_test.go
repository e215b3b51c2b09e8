package auth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

func TestGetAccount(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		user := w.signUp(w.device(), "ada").GetUser()
		get := func(id string) (*authv1.Account, error) {
			res, err := w.directory(options...).GetAccount(ctx, &authv1.GetAccountRequest{UserId: id})
			return res.GetAccount(), err
		}
		if account, err := get(user.GetId()); err != nil || !proto.Equal(account.GetUser(), user) || account.GetBan() != nil {
			t.Errorf("%v, %v", account, err)
		}
		until := timestamppb.New(w.clock.Now().Add(time.Hour).Truncate(time.Second))
		ban := &authv1.Ban{Reason: "spam", Until: until}
		if _, err := w.directory().BanUser(ctx, &authv1.BanUserRequest{UserId: user.GetId(), Ban: ban}); err != nil {
			t.Fatal(err)
		}
		if account, err := get(user.GetId()); err != nil || !proto.Equal(account.GetBan(), ban) {
			t.Errorf("%v, %v", account, err)
		}
		w.clock.move(time.Hour)
		if account, err := get(user.GetId()); err != nil || account.GetBan() != nil {
			t.Errorf("after the ban: %v, %v", account, err)
		}
		_, err := get("nobody")
		wantError(t, err, connect.CodeNotFound, "USER_NOT_FOUND")
		_, err = get("")
		wantError(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	})
}

// sessions lists where a user is signed in, page by page.
func (w *world) sessions(userID string, options ...connect.ClientOption) (list []*authv1.Session) {
	w.t.Helper()
	request := &authv1.ListSessionsRequest{UserId: userID, PageSize: 2}
	for {
		res, err := w.directory(options...).ListSessions(w.t.Context(), request)
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, res.GetSessions()...)
		if request.PageToken = res.GetNextPageToken(); request.GetPageToken() == "" {
			return list
		}
	}
}

func TestListSessions(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		devices := []string{w.device(), w.device(), w.device()}
		start := timestamppb.New(w.clock.Now().Truncate(time.Millisecond))
		first := w.signUp(devices[0], "ada")
		w.clock.move(time.Minute)
		tokens := []string{first.GetAccessToken(), w.signIn(devices[1], "ada").GetAccessToken(), w.signIn(devices[2], "ada").GetAccessToken()}
		w.clock.move(time.Minute)
		w.exchange(first.GetRefreshToken())
		w.signUp(w.device(), "bob")

		user := first.GetUser().GetId()
		list := w.sessions(user, options...)
		var ids []string
		for _, s := range list {
			ids = append(ids, s.GetId())
			if text := prototext.Format(s); slices.ContainsFunc(devices, func(id string) bool { return strings.Contains(text, id) }) {
				t.Errorf("the secret id of a device is told: %s", text)
			}
		}
		want := []string{w.principal(first.GetAccessToken()).SessionID, w.principal(tokens[2]).SessionID, w.principal(tokens[1]).SessionID}
		if !slices.Equal(ids, want) {
			t.Errorf("sessions %v, want %v", ids, want)
		}
		whole := &authv1.Session{
			Id: want[0], Platform: authv1.Platform_PLATFORM_WEB, Model: "Browser", AppVersion: "1.0", CreatedAt: start,
			LastSeenAt: timestamppb.New(start.AsTime().Add(2 * time.Minute)),
		}
		if !proto.Equal(list[0], whole) {
			t.Errorf("session %v, want %v", list[0], whole)
		}
		if list := w.sessions("nobody", options...); len(list) != 0 {
			t.Errorf("nobody is signed in at %v", list)
		}
		operatorToken(t, w)
		if list := w.sessions("operator", options...); len(list) != 1 {
			t.Errorf("the operator is signed in at %v", list)
		}
		_, err := w.directory(options...).ListSessions(ctx, &authv1.ListSessionsRequest{UserId: user, PageToken: "nonsense"})
		wantError(t, err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
		w.clock.move(month)
		if list := w.sessions(user, options...); len(list) != 0 {
			t.Errorf("sessions that have expired: %v", list)
		}
	})
}

func TestRevokeSession(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		onPhone, onLaptop := w.signUp(w.device(), "ada"), w.signIn(w.device(), "ada")
		bob, guest := w.signUp(w.device(), "bob"), w.guest(w.device())
		revoke := func(user *authv1.User, token string) error {
			_, err := w.directory(options...).RevokeSession(ctx, &authv1.RevokeSessionRequest{
				UserId: user.GetId(), SessionId: w.principal(token).SessionID,
			})
			return err
		}
		if err := revoke(onPhone.GetUser(), onLaptop.GetAccessToken()); err != nil {
			t.Fatal(err)
		}
		w.wantRevoked(onLaptop.GetAccessToken())
		wantError(t, w.me(onLaptop.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
		if err := w.me(onPhone.GetAccessToken()); err != nil {
			t.Error("another session ended:", err)
		}
		if err := revoke(guest.GetUser(), guest.GetAccessToken()); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"again":           revoke(onPhone.GetUser(), onLaptop.GetAccessToken()),
			"of another user": revoke(bob.GetUser(), onPhone.GetAccessToken()),
			"of nobody":       revoke(&authv1.User{Id: "nobody"}, bob.GetAccessToken()),
		} {
			t.Run(name, func(t *testing.T) { wantError(t, err, connect.CodeNotFound, "SESSION_NOT_FOUND") })
		}
		if n := w.counter("stoa_auth_revoked_sessions_total", "revoked_by_staff"); n != 2 {
			t.Errorf("counted %v", n)
		}
	})
}
