package stoa

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
)

// AccountOptions say where to sign in, and as which device.
type AccountOptions struct {
	// URL is the API's, such as "https://stoa.example.org".
	URL string
	// HTTPClient makes the calls. Default http.DefaultClient.
	HTTPClient connect.HTTPClient
	// DeviceID is from an earlier registration; empty registers the device anew, with the three below.
	DeviceID string
	// Platform is the kind of software. Default PLATFORM_CLI.
	Platform authv1.Platform
	// Model and AppVersion let the owner recognise the device.
	Model, AppVersion string
	// OnSession is told each new pair of tokens, to be kept: an old refresh token is worth nothing. It is called before
	// the tokens are used.
	OnSession func(session AccountSession)
}

// AccountSession is what a device keeps of a sign-in; it is as secret as a password.
type AccountSession struct {
	// DeviceID names the installation.
	DeviceID string
	// User is who is signed in.
	User *authv1.User
	// Access is the access token, until ExpiresAt by the server's clock.
	Access    string
	ExpiresAt time.Time
	// Refresh is the refresh token, which works once.
	Refresh string
}

// Account is somebody who is signed in. Its methods may be called by many goroutines.
type Account struct {
	options AccountOptions
	auth    authv1connect.AuthServiceClient

	busy    chan struct{} // a lock for what follows; holds one
	session AccountSession
	due     time.Time // when the tokens should be exchanged, by the clock here
}

// SignUp makes an account and signs it in. Errors: those of AuthService.
func SignUp(ctx context.Context, o AccountOptions, username, password, nickname string) (*Account, error) {
	return open(ctx, o, func(ctx context.Context, a *Account) (pair, error) {
		return a.auth.SignUp(ctx, &authv1.SignUpRequest{
			DeviceId: a.session.DeviceID, Username: username, Password: password, Nickname: nickname,
		})
	})
}

// SignIn signs in. Errors: those of AuthService, such as Unauthenticated (WRONG_CREDENTIALS).
func SignIn(ctx context.Context, o AccountOptions, username, password string) (*Account, error) {
	return open(ctx, o, func(ctx context.Context, a *Account) (pair, error) {
		return a.auth.SignIn(ctx, &authv1.SignInRequest{
			DeviceId: a.session.DeviceID, Username: username, Password: password,
		})
	})
}

// SignInAsGuest signs in without an account; the same device stays the same guest. Errors: those of AuthService.
func SignInAsGuest(ctx context.Context, o AccountOptions) (*Account, error) {
	return open(ctx, o, func(ctx context.Context, a *Account) (pair, error) {
		return a.auth.SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: a.session.DeviceID})
	})
}

// Continue goes on with a session that was kept. It calls nobody: a session that is over shows at the first token.
func Continue(o AccountOptions, session AccountSession) *Account {
	a := newAccount(o)
	a.session = session
	return a // the tokens are exchanged before the first use, which also tells the server's time
}

func newAccount(o AccountOptions) *Account {
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if o.Platform == authv1.Platform_PLATFORM_UNSPECIFIED {
		o.Platform = authv1.Platform_PLATFORM_CLI
	}
	return &Account{
		options: o, auth: authv1connect.NewAuthServiceClient(o.HTTPClient, o.URL), busy: make(chan struct{}, 1),
		session: AccountSession{DeviceID: o.DeviceID},
	}
}

// pair is what every kind of sign-in answers.
type pair interface {
	GetUser() *authv1.User
	GetAccessToken() string
	GetRefreshToken() string
	GetExpiresAt() *timestamppb.Timestamp
}

func open(
	ctx context.Context, o AccountOptions, signIn func(ctx context.Context, a *Account) (pair, error),
) (*Account, error) {
	a := newAccount(o)
	if a.session.DeviceID == "" {
		device, err := a.auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{
			Platform: a.options.Platform, Model: o.Model, AppVersion: o.AppVersion,
		})
		if err != nil {
			return nil, fmt.Errorf("register device: %w", err)
		}
		a.session.DeviceID = device.GetDeviceId()
	}
	if err := a.take(ctx, signIn); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return a, nil
}

// take gets a pair of tokens and notes when the next one is due. The server's clock tells how long they live: the one here
// may be wrong.
func (a *Account) take(ctx context.Context, get func(ctx context.Context, a *Account) (pair, error)) error {
	asked := time.Now()
	ctx, info := connect.NewClientContext(ctx)
	got, err := get(ctx, a)
	if err != nil {
		return err
	}
	now := asked
	if date, err := http.ParseTime(info.ResponseHeader().Get("Date")); err == nil {
		now = date
	}
	a.session.User, a.session.Access, a.session.Refresh = got.GetUser(), got.GetAccessToken(), got.GetRefreshToken()
	a.session.ExpiresAt = got.GetExpiresAt().AsTime()
	a.due = asked.Add(a.session.ExpiresAt.Sub(now) * 2 / 3)
	if a.options.OnSession != nil {
		a.options.OnSession(a.session)
	}
	return nil
}

// Token returns an access token that lives for a while, exchanging the refresh token when less than a third of its life is
// left. Errors: those of AuthService.RefreshToken; Unauthenticated means that the person must sign in again.
func (a *Account) Token(ctx context.Context) (Token, error) {
	if err := a.lock(ctx); err != nil {
		return Token{}, err
	}
	defer a.unlock()
	// Two clocks: that of the process stands still while the machine sleeps, that of the day may be set back.
	if now := time.Now(); !now.Before(a.due) || !now.Round(0).Before(a.due.Round(0)) {
		if err := a.take(ctx, func(ctx context.Context, a *Account) (pair, error) {
			return a.auth.RefreshToken(ctx, &authv1.RefreshTokenRequest{RefreshToken: a.session.Refresh})
		}); err != nil {
			return Token{}, fmt.Errorf("refresh token: %w", err)
		}
	}
	return Token{Access: a.session.Access, ExpiresAt: a.session.ExpiresAt}, nil
}

// Session returns what to keep for Continue.
func (a *Account) Session() AccountSession {
	_ = a.lock(context.Background()) // does not end
	defer a.unlock()
	return a.session
}

// HTTPClient returns a client that sends the account's token along, for calls beside the long connection.
func (a *Account) HTTPClient() connect.HTTPClient { return bearer{a} }

// SignOut ends the session on the server, and with it its connections.
func (a *Account) SignOut(ctx context.Context) error {
	_, err := authv1connect.NewAuthServiceClient(a.HTTPClient(), a.options.URL).SignOut(ctx, &authv1.SignOutRequest{})
	return err
}

func (a *Account) lock(ctx context.Context) error {
	select {
	case a.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (a *Account) unlock() { <-a.busy }

type bearer struct{ account *Account }

// Do implements connect.HTTPClient.
func (b bearer) Do(req *http.Request) (*http.Response, error) {
	token, err := b.account.Token(req.Context())
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token.Access)
	return b.account.options.HTTPClient.Do(req)
}
