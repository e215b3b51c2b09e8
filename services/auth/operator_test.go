package auth_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/services/auth"
)

func operatorKey(t testing.TB, w *world) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.deps.DataDir, "operator.key"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func operatorToken(t testing.TB, w *world) string {
	t.Helper()
	res, err := w.client().SignInAsOperator(t.Context(), &authv1.SignInAsOperatorRequest{OperatorKey: operatorKey(t, w)})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetAccessToken()
}

func (w *world) directoryAs(token string) authv1connect.DirectoryServiceClient {
	return authv1connect.NewDirectoryServiceClient(w.server.Client(), w.server.URL(), authntest.WithToken(token))
}

func TestTheOperatorSignsInByTheKeyInTheDataFolder(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		p := newPlace(t)
		w, ctx := serveAt(t, p), t.Context()
		path := filepath.Join(p.dataDir, "operator.key")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		key := operatorKey(t, w)
		if len(strings.TrimSpace(key)) != 43 {
			t.Errorf("a key of %d characters", len(key))
		}
		var tokens []string
		for range 2 { // both stay signed in
			res, err := w.client(options...).SignInAsOperator(ctx, &authv1.SignInAsOperatorRequest{OperatorKey: key})
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, res.GetAccessToken())
			if res.GetUser().GetId() != "operator" || res.GetUser().GetRole() != authv1.Role_ROLE_ADMIN {
				t.Errorf("user %v", res.GetUser())
			}
		}
		for _, token := range tokens {
			if p := w.principal(token); !p.IsAdmin() || p.UserID != "operator" {
				t.Errorf("principal %+v", p)
			}
			me, err := w.as(token, options...).GetMe(ctx, &authv1.GetMeRequest{})
			if err != nil || me.GetUser().GetNickname() != "Operator" {
				t.Errorf("%v, %v", me, err)
			}
		}
		if _, err := w.as(tokens[0], options...).SignOut(ctx, &authv1.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		w.wantRevoked(tokens[0])
		users, err := w.directory(options...).ListUsers(ctx, &authv1.ListUsersRequest{})
		if err != nil || len(users.GetAccounts()) != 0 {
			t.Errorf("the operator is listed: %v, %v", users, err)
		}
		_, err = w.client(options...).SignIn(ctx, &authv1.SignInRequest{DeviceId: w.device(), Username: "operator", Password: strings.TrimSpace(key)})
		wantError(t, err, connect.CodeUnauthenticated, "WRONG_CREDENTIALS")

		again := serveAt(t, p)
		if operatorKey(t, again) != key {
			t.Error("a restart changed the key")
		}
		operatorToken(t, again)
	})
}

func TestWrongOperatorKeysAreLimited(t *testing.T) {
	w := serve(t)
	guess := func() error {
		_, err := w.client().SignInAsOperator(t.Context(), &authv1.SignInAsOperatorRequest{OperatorKey: strings.Repeat("A", 43)})
		return err
	}
	for range 10 {
		wantError(t, guess(), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	}
	wantError(t, guess(), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	operatorToken(t, w) // who knows it is not locked out by who does not
}

func TestAnOperatorKeyThatIsTooShortStopsTheStart(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	deps := w.deps
	deps.DataDir = t.TempDir()
	if err := os.WriteFile(filepath.Join(deps.DataDir, "operator.key"), []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := auth.New(t.Context(), auth.Config{}, deps)
	if err == nil {
		t.Fatal("it started")
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the key is shown: %v", err)
	}
}
