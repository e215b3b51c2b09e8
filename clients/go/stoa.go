// Package stoa is the Go client of Stoa's long connection, and the sync engine of a device on top of it.
//
// [Dial] opens a connection over WebSocket or TCP, keeps it, and carries calls and events over it: [Conn.Call] and
// [Conn.HTTPClient] for calls, [Options.OnEvents] for what happens. [OpenChat] is what most programs want: it keeps a
// device up to date with its user's conversations and shows the program each message once and in order, whatever
// happened to the connection meanwhile. [SignIn], [SignUp] and [SignInAsGuest] get the tokens for both.
//
// What must never happen here: a message that a program sees twice, out of order or not at all; an event or a call that
// waits in memory without a bound; a token in an address or in a log; and a goroutine that outlives Close.
package stoa

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// Token is an access token.
type Token struct {
	// Access is what AuthService issued.
	Access string
	// ExpiresAt is when it ends, by the server's clock. A connection asks for a fresh one when a quarter of the life that
	// is left at its sign-in remains. Zero means that it is never renewed.
	ExpiresAt time.Time
}

// Options say where to connect, as whom, and what to do with what comes.
//
// The callbacks are called by one goroutine, one at a time and in the order of what happened. They may call anything of
// the connection but Close.
type Options struct {
	// URL is "ws://host/edge/v1" or "wss://…" for WebSocket, "tcp://host:port" for TCP and "tls://host:port" for TCP with
	// TLS.
	URL string
	// Token returns the access token to sign in with, and later a fresh one. An error of the code Unauthenticated or
	// PermissionDenied ends the connection, and so does a token that the server has just refused; after other errors it
	// is asked again. [Account.Token] is one.
	Token func(ctx context.Context) (Token, error)

	// OnEvents is told what happened, oldest first.
	OnEvents func(events []*edgev1.Event)
	// OnSync is told that events may have been missed before those that come now: the session is new, or too many
	// events waited for OnEvents. Sync, enter rooms and watch people again, for which the session says what is allowed.
	OnSync func(signed *edgev1.SignedIn)
	// OnStatus is told that the connection came up or went down; states that passed while it was busy are left out.
	OnStatus func(status Status)

	// QueueEvents is how many events may wait for OnEvents before they are dropped and OnSync is told. Default 4,096.
	QueueEvents int
	// MaxFrame is the largest frame that is read, in bytes, also after unpacking. Default 16 MiB.
	MaxFrame int
	// DialTimeout bounds one try to connect and sign in. Default 10 s.
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause after a connection that failed; it doubles with each and is spread evenly
	// from nothing to its whole. Default 500 ms and 30 s. A Chat that tries a call again pauses for 100 ms first, or for
	// BackoffMin where that is less.
	BackoffMin, BackoffMax time.Duration
	// TLS configures TLS; nil means the system's roots.
	TLS *tls.Config
	// Logger hears of lost connections, never of tokens and texts. Default: nobody.
	Logger *slog.Logger
}

// Status is whether a connection is up.
type Status struct {
	// Up means that calls go out at once.
	Up bool
	// Err is why it is down: a [*GoodbyeError] where the server said so.
	Err error
	// Final means that it stays down. Conn.Err says why.
	Final bool
}

func (o Options) withDefaults() (Options, *url.URL, error) {
	at, err := url.Parse(o.URL)
	if err != nil {
		return o, nil, fmt.Errorf("parse URL: %w", err)
	}
	switch at.Scheme {
	case "ws", "wss", "tcp", "tls":
	default:
		return o, nil, fmt.Errorf("the scheme of %q is none of ws, wss, tcp and tls", o.URL)
	}
	if at.Host == "" {
		return o, nil, fmt.Errorf("%q names no host", o.URL)
	}
	if o.Token == nil {
		return o, nil, errors.New("Options.Token is not set")
	}
	setDefault(&o.QueueEvents, 4096)
	setDefault(&o.MaxFrame, 16<<20)
	setDefault(&o.DialTimeout, 10*time.Second)
	setDefault(&o.BackoffMin, 500*time.Millisecond)
	setDefault(&o.BackoffMax, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, at, nil
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}
