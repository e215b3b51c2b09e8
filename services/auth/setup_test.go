package auth_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// firstAdmin makes the first administrator, which has to work.
func (w *world) firstAdmin(token, device, username string) *authv1.CreateFirstAdminResponse {
	w.t.Helper()
	res, err := w.client().CreateFirstAdmin(w.t.Context(), &authv1.CreateFirstAdminRequest{
		SetupToken: token, DeviceId: device, Username: username, Password: password,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// wantSetup checks whether the server says that it needs an administrator.
func (w *world) wantSetup(needed bool) {
	w.t.Helper()
	res, err := w.client().GetSetup(w.t.Context(), &authv1.GetSetupRequest{})
	if err != nil || res.GetNeeded() != needed {
		w.t.Errorf("%v, %v, want %v", res, err, needed)
	}
}

func TestTheSetupTokenMakesTheFirstAdministrator(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		p := newPlace(t)
		w, ctx := serveAt(t, p), t.Context()
		operatorToken(t, w) // who does not count
		w.wantSetup(true)
		former := w.service.SetupToken()
		w = serveAt(t, p)
		token := w.service.SetupToken()
		if len(token) != 43 || token == former {
			t.Errorf("a token of %d characters, a new one: %v", len(token), token != former)
		}

		device := w.device()
		w.signUp(w.device(), "taken")
		request := func(change func(r *authv1.CreateFirstAdminRequest)) error {
			r := &authv1.CreateFirstAdminRequest{
				SetupToken: token, DeviceId: device, Username: "Ada", Password: password, Nickname: " Ada L. ",
			}
			change(r)
			_, err := w.client(options...).CreateFirstAdmin(ctx, r)
			return err
		}
		for name, c := range map[string]struct {
			change func(r *authv1.CreateFirstAdminRequest)
			code   connect.Code
			reason string
		}{
			"of the last start": {func(r *authv1.CreateFirstAdminRequest) { r.SetupToken = former }, connect.CodePermissionDenied, "SETUP_TOKEN_INVALID"},
			"cut":               {func(r *authv1.CreateFirstAdminRequest) { r.SetupToken = token[:42] }, connect.CodePermissionDenied, "SETUP_TOKEN_INVALID"},
			"no token":          {func(r *authv1.CreateFirstAdminRequest) { r.SetupToken = "" }, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
			"no device":         {func(r *authv1.CreateFirstAdminRequest) { r.DeviceId = "x" }, connect.CodeNotFound, "DEVICE_NOT_FOUND"},
			"taken name":        {func(r *authv1.CreateFirstAdminRequest) { r.Username = "taken" }, connect.CodeAlreadyExists, "USERNAME_TAKEN"},
			"short password":    {func(r *authv1.CreateFirstAdminRequest) { r.Password = "short" }, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
			"blank nickname":    {func(r *authv1.CreateFirstAdminRequest) { r.Nickname = "\u200b" }, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		} {
			t.Run(name, func(t *testing.T) { wantError(t, request(c.change), c.code, c.reason) })
		}
		w.wantSetup(true)

		res, err := w.client(options...).CreateFirstAdmin(ctx, &authv1.CreateFirstAdminRequest{
			SetupToken: token, DeviceId: device, Username: "Ada", Password: password, Nickname: " Ada L. ",
		})
		if err != nil {
			t.Fatal("the token was used up by mistakes:", err)
		}
		if u := res.GetUser(); u.GetUsername() != "ada" || u.GetNickname() != "Ada L." || u.GetRole() != authv1.Role_ROLE_ADMIN {
			t.Errorf("user %v", u)
		}
		if p := w.principal(res.GetAccessToken()); !p.IsAdmin() || p.DeviceID != device {
			t.Errorf("principal %+v", p)
		}
		w.exchange(res.GetRefreshToken())
		w.signIn(device, "ada")
		w.wantSetup(false)
		if w.service.SetupToken() != "" {
			t.Error("there is still a token")
		}
		wantError(t, request(func(r *authv1.CreateFirstAdminRequest) { r.Username = "eve" }), connect.CodeFailedPrecondition, "SETUP_DONE")
		if n := w.counter("stoa_auth_sign_ins_total", "setup", "ok"); n != 1 {
			t.Errorf("counted %v", n)
		}

		again := serveAt(t, p)
		again.wantSetup(false)
		if again.service.SetupToken() != "" {
			t.Error("a start with an administrator made a token")
		}
	})
}

func TestOfTwoFirstAdministratorsOneIsTheFirst(t *testing.T) {
	w := serve(t)
	const callers = 8
	token, devices := w.service.SetupToken(), make([]string, callers)
	for i := range devices {
		devices[i] = w.device()
	}
	failures := make([]error, callers)
	var calls sync.WaitGroup
	for i, device := range devices {
		calls.Go(func() {
			_, failures[i] = w.client().CreateFirstAdmin(t.Context(), &authv1.CreateFirstAdminRequest{
				SetupToken: token, DeviceId: device, Username: fmt.Sprintf("root%d", i), Password: password,
			})
		})
	}
	calls.Wait()
	made := 0
	for _, err := range failures {
		if err == nil {
			made++
			continue
		}
		wantError(t, err, connect.CodeFailedPrecondition, "SETUP_DONE")
	}
	staff, err := w.directory().ListUsers(t.Context(), &authv1.ListUsersRequest{OnlyStaff: true})
	if err != nil || made != 1 || len(staff.GetAccounts()) != 1 {
		t.Errorf("%d were made: %v, %v", made, staff, err)
	}
}

// TestAUsedSetupTokenStaysUsed also when nobody is an administrator any more.
func TestAUsedSetupTokenStaysUsed(t *testing.T) {
	p := newPlace(t)
	w, ctx := serveAt(t, p), t.Context()
	token := w.service.SetupToken()
	admin := w.firstAdmin(token, w.device(), "ada").GetUser().GetId()
	if _, err := w.directory().SetRole(ctx, &authv1.SetRoleRequest{UserId: admin, Role: authv1.Role_ROLE_MODERATOR}); err != nil {
		t.Fatal(err)
	}
	w.wantSetup(true)
	for _, guess := range []string{token, " "} {
		_, err := w.client().CreateFirstAdmin(ctx, &authv1.CreateFirstAdminRequest{
			SetupToken: guess, DeviceId: w.device(), Username: "eve", Password: password,
		})
		wantError(t, err, connect.CodePermissionDenied, "SETUP_TOKEN_INVALID")
	}
	again := serveAt(t, p)
	again.firstAdmin(again.service.SetupToken(), again.device(), "bob")
}

func TestWrongSetupTokensAreLimited(t *testing.T) {
	w := serve(t)
	guess := func() error {
		_, err := w.client().CreateFirstAdmin(t.Context(), &authv1.CreateFirstAdminRequest{
			SetupToken: strings.Repeat("A", 43), DeviceId: "x", Username: "eve", Password: password,
		})
		return err
	}
	for range 10 {
		wantError(t, guess(), connect.CodePermissionDenied, "SETUP_TOKEN_INVALID")
	}
	err := guess()
	wantError(t, err, connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	if m := errs.Metadata(err); m["retry_after_ms"] != "60000" {
		t.Errorf("metadata %v", m)
	}
	w.firstAdmin(w.service.SetupToken(), w.device(), "ada") // who knows it is not locked out by who does not
}

// TestWhatAnOlderVersionStored is a database at version 1 of the schema, in which 3 was an administrator.
func TestWhatAnOlderVersionStored(t *testing.T) {
	storetest.OnlySQLite(t, "there was no older version")
	p := newPlace(t)
	first, err := os.ReadFile("migrations/sqlite/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.OpenAt(t, p.storeURL, "auth", fstest.MapFS{"migrations/sqlite/0001_init.sql": {Data: first}})
	for id, role := range map[string]int{"guest": 1, "user": 2, "admin": 3, "operator": 3} {
		_, err := db.Write.ExecContext(t.Context(), `INSERT INTO users (id, username, nickname, avatar_url, role, created_at, updated_at)
			VALUES (?, ?, ?, 'https://elsewhere.example/a.png', ?, ?, ?)`, id, id, "THÉ "+id, role, time.Now(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	w := serveAt(t, p)
	w.wantSetup(false)
	if w.service.SetupToken() != "" {
		t.Error("there is a setup token beside an administrator")
	}
	res, err := w.directory().BatchGetUsers(t.Context(), &authv1.BatchGetUsersRequest{UserIds: []string{"guest", "user", "admin", "operator"}})
	if err != nil || len(res.GetUsers()) != 4 {
		t.Fatalf("%v, %v", res, err)
	}
	want := map[string]authv1.Role{
		"guest": authv1.Role_ROLE_GUEST, "user": authv1.Role_ROLE_USER, "admin": authv1.Role_ROLE_ADMIN, "operator": authv1.Role_ROLE_ADMIN,
	}
	for _, u := range res.GetUsers() {
		if u.GetRole() != want[u.GetId()] || u.GetAvatarUrl() != "" {
			t.Errorf("user %v", u)
		}
	}
	found, err := w.directory().ListUsers(t.Context(), &authv1.ListUsersRequest{Query: "thé ADM", NicknameOnly: true, OnlyStaff: true})
	if err != nil || len(found.GetAccounts()) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}
