package auth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

func TestABanEndsSessionsAndRefusesSignIn(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		phone, laptop := w.device(), w.device()
		onPhone, onLaptop := w.signUp(phone, "ada"), w.signIn(laptop, "ada")
		id := onPhone.GetUser().GetId()
		until := w.clock.Now().Add(time.Hour).Truncate(time.Second).UTC()
		res, err := w.directory(options...).BanUser(ctx, &authv1.BanUserRequest{
			UserId: id, Ban: &authv1.Ban{Reason: " spam ", Until: timestamppb.New(until)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if ban := res.GetAccount().GetBan(); ban.GetReason() != "spam" || !ban.GetUntil().AsTime().Equal(until) {
			t.Errorf("ban %v", ban)
		}
		w.wantRevoked(onPhone.GetAccessToken(), onLaptop.GetAccessToken())
		if event := <-w.changed; event.GetUser().GetId() != id {
			t.Errorf("told the others %v", event)
		}
		wantError(t, w.me(onLaptop.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")

		_, in := w.client(options...).SignIn(ctx, &authv1.SignInRequest{DeviceId: phone, Username: "ada", Password: password})
		_, refreshed := w.client(options...).RefreshToken(ctx, &authv1.RefreshTokenRequest{RefreshToken: onPhone.GetRefreshToken()})
		for _, err := range []error{in, refreshed} {
			wantError(t, err, connect.CodePermissionDenied, "BANNED")
			if m := errs.Metadata(err); m["ban_reason"] != "spam" || m["ban_until"] != until.Format(time.RFC3339) {
				t.Errorf("metadata %v", m)
			}
		}
		_, wrong := w.client(options...).SignIn(ctx, &authv1.SignInRequest{DeviceId: phone, Username: "ada", Password: "a guess"})
		wantError(t, wrong, connect.CodeUnauthenticated, "WRONG_CREDENTIALS") // the ban is told to its owner only

		w.clock.move(time.Hour)
		w.signIn(phone, "ada") // it has ended
		list, err := w.directory(options...).ListUsers(ctx, &authv1.ListUsersRequest{})
		if err != nil || len(list.GetAccounts()) != 1 || list.GetAccounts()[0].GetBan() != nil {
			t.Errorf("after the ban: %v, %v", list, err)
		}
	})
}

func TestABanWithoutAnEndIsLifted(t *testing.T) {
	w, ctx := serve(t), t.Context()
	device := w.device()
	guest := w.guest(device)
	ban := &authv1.BanUserRequest{UserId: guest.GetUser().GetId(), Ban: &authv1.Ban{Reason: "rude"}}
	if _, err := w.directory().BanUser(ctx, ban); err != nil {
		t.Fatal(err)
	}
	w.clock.move(1000 * 24 * time.Hour)
	_, err := w.client().SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: device})
	wantError(t, err, connect.CodePermissionDenied, "BANNED")
	if until, ok := errs.Metadata(err)["ban_until"]; ok {
		t.Errorf("an endless ban ends at %q", until)
	}
	for range 2 { // lifting none is no error
		res, err := w.directory().UnbanUser(ctx, &authv1.UnbanUserRequest{UserId: guest.GetUser().GetId()})
		if err != nil || res.GetAccount().GetBan() != nil {
			t.Fatalf("unbanned: %v, %v", res, err)
		}
	}
	if back := w.guest(device); back.GetUser().GetId() != guest.GetUser().GetId() {
		t.Error("the guest came back as another one")
	}
}

func TestWrongBans(t *testing.T) {
	w, ctx := serve(t), t.Context()
	id := w.guest(w.device()).GetUser().GetId()
	past := timestamppb.New(w.clock.Now().Add(-time.Second))
	for name, c := range map[string]struct {
		request *authv1.BanUserRequest
		code    connect.Code
		reason  string
	}{
		"nobody":      {&authv1.BanUserRequest{UserId: "x", Ban: &authv1.Ban{}}, connect.CodeNotFound, "USER_NOT_FOUND"},
		"no ban":      {&authv1.BanUserRequest{UserId: id}, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"in the past": {&authv1.BanUserRequest{UserId: id, Ban: &authv1.Ban{Until: past}}, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"no time": {
			&authv1.BanUserRequest{UserId: id, Ban: &authv1.Ban{Until: &timestamppb.Timestamp{Nanos: -1}}},
			connect.CodeInvalidArgument, "INVALID_ARGUMENT",
		},
		"long reason": {
			&authv1.BanUserRequest{UserId: id, Ban: &authv1.Ban{Reason: strings.Repeat("é", 501)}},
			connect.CodeInvalidArgument, "INVALID_ARGUMENT",
		},
		"the operator": {
			&authv1.BanUserRequest{UserId: "operator", Ban: &authv1.Ban{}}, connect.CodePermissionDenied, "FORBIDDEN",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.directory().BanUser(ctx, c.request)
			wantError(t, err, c.code, c.reason)
		})
	}
	_, err := w.directory().UnbanUser(ctx, &authv1.UnbanUserRequest{UserId: "x"})
	wantError(t, err, connect.CodeNotFound, "USER_NOT_FOUND")
}

func TestARoleTakesEffectAtTheNextSignIn(t *testing.T) {
	w, ctx := serve(t), t.Context()
	device := w.device()
	up := w.signUp(device, "ada")
	res, err := w.directory().SetRole(ctx, &authv1.SetRoleRequest{UserId: up.GetUser().GetId(), Role: authv1.Role_ROLE_ADMIN})
	if err != nil || res.GetAccount().GetUser().GetRole() != authv1.Role_ROLE_ADMIN {
		t.Fatalf("%v, %v", res, err)
	}
	w.wantRevoked(up.GetAccessToken())
	if event := <-w.changed; event.GetUser().GetRole() != authv1.Role_ROLE_ADMIN {
		t.Errorf("told the others %v", event)
	}
	asAdmin := w.signIn(device, "ada")
	if p := w.principal(asAdmin.GetAccessToken()); !p.IsAdmin() || !p.IsStaff() {
		t.Errorf("signed in as %v", p)
	}
	_, err = w.directory().SetRole(ctx, &authv1.SetRoleRequest{UserId: up.GetUser().GetId(), Role: authv1.Role_ROLE_MODERATOR})
	if err != nil {
		t.Fatal(err)
	}
	w.wantRevoked(asAdmin.GetAccessToken())
	if p := w.principal(w.signIn(device, "ada").GetAccessToken()); p.IsAdmin() || !p.IsStaff() || p.Role != authv1.Role_ROLE_MODERATOR {
		t.Errorf("signed in as %v", p)
	}
	guest := w.guest(w.device()).GetUser().GetId()
	for name, c := range map[string]struct {
		request *authv1.SetRoleRequest
		code    connect.Code
		reason  string
	}{
		"nobody":       {&authv1.SetRoleRequest{UserId: "x", Role: authv1.Role_ROLE_USER}, connect.CodeNotFound, "USER_NOT_FOUND"},
		"a guest":      {&authv1.SetRoleRequest{UserId: guest, Role: authv1.Role_ROLE_ADMIN}, connect.CodeFailedPrecondition, "USER_IS_GUEST"},
		"to guest":     {&authv1.SetRoleRequest{UserId: up.GetUser().GetId(), Role: authv1.Role_ROLE_GUEST}, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"the operator": {&authv1.SetRoleRequest{UserId: "operator", Role: authv1.Role_ROLE_USER}, connect.CodePermissionDenied, "FORBIDDEN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.directory().SetRole(ctx, c.request)
			wantError(t, err, c.code, c.reason)
		})
	}
}

func TestListUsers(t *testing.T) {
	w, ctx := serve(t), t.Context()
	var newestFirst []string
	for username, nickname := range orderedNames() {
		res, err := w.client().SignUp(ctx, &authv1.SignUpRequest{
			DeviceId: w.device(), Username: username, Password: password, Nickname: nickname,
		})
		if err != nil {
			t.Fatal(err)
		}
		newestFirst = append([]string{res.GetUser().GetUsername()}, newestFirst...)
	}
	banned, err := w.directory().ListUsers(ctx, &authv1.ListUsersRequest{Query: "percent"})
	if err != nil || len(banned.GetAccounts()) != 1 {
		t.Fatalf("%v, %v", banned, err)
	}
	_, err = w.directory().BanUser(ctx, &authv1.BanUserRequest{
		UserId: banned.GetAccounts()[0].GetUser().GetId(), Ban: &authv1.Ban{Reason: "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for username, role := range map[string]authv1.Role{
		"percent": authv1.Role_ROLE_MODERATOR, "letter": authv1.Role_ROLE_MODERATOR, "umlaut": authv1.Role_ROLE_ADMIN,
	} {
		found, err := w.directory().ListUsers(ctx, &authv1.ListUsersRequest{Query: username})
		if err != nil || len(found.GetAccounts()) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		_, err = w.directory().SetRole(ctx, &authv1.SetRoleRequest{UserId: found.GetAccounts()[0].GetUser().GetId(), Role: role})
		if err != nil {
			t.Fatal(err)
		}
	}
	operatorToken(t, w) // who is in no list
	type request = authv1.ListUsersRequest
	for name, c := range map[string]struct {
		request *request
		want    []string
	}{
		"all":                 {&request{}, newestFirst},
		"username":            {&request{Query: "percen"}, []string{"percent"}},
		"case":                {&request{Query: "PERCEN"}, []string{"percent"}},
		"nickname":            {&request{Query: "OFF"}, []string{"percent"}},
		"percent sign":        {&request{Query: "%"}, []string{"percent"}},
		"underscore":          {&request{Query: "a_b"}, []string{"underscore"}},
		"backslash":           {&request{Query: `\`}, []string{"backslash"}},
		"quote":               {&request{Query: `' OR 'a'='a`}, nil},
		"NUL":                 {&request{Query: "\x00"}, nil},
		"other letters":       {&request{Query: "Ä"}, []string{"umlaut"}},
		"other letters' case": {&request{Query: "äRGE"}, []string{"umlaut"}},
		"nickname only":       {&request{Query: "50", NicknameOnly: true}, []string{"percent"}},
		"its case":            {&request{Query: "ÄRGER", NicknameOnly: true}, []string{"umlaut"}},
		"two small letters":   {&request{Query: "ΑΘΉΝΑΣ", NicknameOnly: true}, []string{"sigma"}},
		"not the username":    {&request{Query: "percen", NicknameOnly: true}, nil},
		"its percent sign":    {&request{Query: "%", NicknameOnly: true}, []string{"percent"}},
		"its underscore":      {&request{Query: "a_b", NicknameOnly: true}, []string{"underscore"}},
		"everybody's":         {&request{NicknameOnly: true}, newestFirst},
		"banned":              {&request{OnlyBanned: true}, []string{"percent"}},
		"banned no more":      {&request{Query: "axb", OnlyBanned: true}, nil},
		"staff":               {&request{OnlyStaff: true}, []string{"umlaut", "letter", "percent"}},
		"staff by name":       {&request{Query: "r", OnlyStaff: true}, []string{"umlaut", "letter", "percent"}},
		"banned staff":        {&request{OnlyStaff: true, OnlyBanned: true}, []string{"percent"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			request := c.request
			request.PageSize = 2
			for {
				res, err := w.directory().ListUsers(ctx, request)
				if err != nil {
					t.Fatal(err)
				}
				for _, account := range res.GetAccounts() {
					got = append(got, account.GetUser().GetUsername())
					if banned := account.GetUser().GetUsername() == "percent"; banned != (account.GetBan() != nil) {
						t.Errorf("%v", account)
					}
				}
				if request.PageToken = res.GetNextPageToken(); request.GetPageToken() == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	_, err = w.directory().ListUsers(ctx, &authv1.ListUsersRequest{PageToken: "nonsense"})
	wantError(t, err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
}

// TestGuestsAreNotFoundByNickname: a search by the first letters of every guest's name must not drown in guests.
func TestGuestsAreNotFoundByNickname(t *testing.T) {
	w, ctx := serve(t), t.Context()
	host, err := w.client().SignUp(ctx, &authv1.SignUpRequest{
		DeviceId: w.device(), Username: "host", Password: password, Nickname: "Guest-house",
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{host.GetUser().GetId()} // newest first
	for range 3 {
		ids = append([]string{w.guest(w.device()).GetUser().GetId()}, ids...)
	}
	operatorToken(t, w) // who is in no list
	for name, c := range map[string]struct {
		request *authv1.ListUsersRequest
		want    []string
	}{
		"by nickname":           {&authv1.ListUsersRequest{Query: "guest-", NicknameOnly: true}, ids[3:]},
		"by nothing":            {&authv1.ListUsersRequest{NicknameOnly: true}, ids[3:]},
		"by the staff":          {&authv1.ListUsersRequest{Query: "guest-"}, ids},
		"by the staff, nothing": {&authv1.ListUsersRequest{}, ids},
	} {
		res, err := w.directory().ListUsers(ctx, c.request)
		if err != nil {
			t.Fatal(name, err)
		}
		var got []string
		for _, account := range res.GetAccounts() {
			got = append(got, account.GetUser().GetId())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func orderedNames() func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, one := range [][2]string{
			{"percent", "50% off"},
			{"underscore", "a_b"},
			{"letter", "axb"},
			{"backslash", `back\slash`},
			{"umlaut", "Ärger"},
			{"sigma", "Αθήνας"},
		} {
			if !yield(one[0], one[1]) {
				return
			}
		}
	}
}

func TestBatchGetUsers(t *testing.T) {
	w := serve(t)
	a, b := w.signUp(w.device(), "ada"), w.guest(w.device())
	res, err := w.directory().BatchGetUsers(t.Context(), &authv1.BatchGetUsersRequest{
		UserIds: []string{a.GetUser().GetId(), "nobody", b.GetUser().GetId(), a.GetUser().GetId()},
	})
	if err != nil || len(res.GetUsers()) != 2 {
		t.Errorf("%v, %v", res.GetUsers(), err)
	}
	none, err := w.directory().BatchGetUsers(t.Context(), &authv1.BatchGetUsersRequest{})
	if err != nil || len(none.GetUsers()) != 0 {
		t.Errorf("%v, %v", none.GetUsers(), err)
	}
}

func TestListRevocations(t *testing.T) {
	w, ctx := serve(t), t.Context()
	start := w.clock.Now()
	var sessions []string
	for range 3 {
		guest := w.guest(w.device())
		sessions = append(sessions, w.principal(guest.GetAccessToken()).SessionID)
		w.clock.move(time.Minute)
		if _, err := w.as(guest.GetAccessToken()).SignOut(ctx, &authv1.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(since time.Time) (ids []string) {
		t.Helper()
		res, err := w.directory().ListRevocations(ctx, &authv1.ListRevocationsRequest{Since: timestamppb.New(since)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.GetRevocations() {
			ids = append(ids, r.GetSessionId())
		}
		return ids
	}
	if got := list(start); !slices.Equal(got, sessions) {
		t.Errorf("revoked %v, want %v", got, sessions)
	}
	if got := list(start.Add(2 * time.Minute).Truncate(time.Millisecond)); !slices.Equal(got, sessions[1:]) {
		t.Errorf("since the second: %v, want %v", got, sessions[1:])
	}
	w.clock.move(accessLifetime - time.Minute) // since the last
	if got := list(time.Time{}.AddDate(1, 0, 0)); !slices.Equal(got, sessions[1:]) {
		t.Errorf("alive: %v, want %v", got, sessions[1:])
	}
}

func TestOnlyServicesUseTheDirectory(t *testing.T) {
	w := serve(t)
	admin := operatorToken(t, w)
	client := w.directoryAs(admin)
	_, err := client.ListUsers(t.Context(), &authv1.ListUsersRequest{})
	wantError(t, err, connect.CodePermissionDenied, "FORBIDDEN")
}
