package edge_test

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/edge"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// TestRevokedSessionsEnd ends many sessions, in the middle of what they are told: each hears why.
func TestRevokedSessionsEnd(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		const people = 20
		devices := make([]*device, people)
		for i := range devices {
			user := fmt.Sprint("user-", i)
			w.chat.set(func() { w.chat.conversations[user] = []string{"group"} })
			devices[i] = w.signInAs(open, w.member(user))
		}
		bob := w.signInAs(open, w.member("bob"))
		start := time.Now()
		for i := range devices {
			w.say("group", int64(i+1), int64(i+1))
			w.Revocations.Add(fmt.Sprint("session-user-", i), start)
		}
		for _, d := range devices {
			d.endsBy(revoked)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("they ended after %v", took)
		}
		bob.quiet("another's end")
		w.eventually("one session is left", func() bool { return w.metric("stoa_edge_sessions") == 1 })
	})
}

func TestTokensAreRenewed(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{Silence: 24 * time.Hour})
		p := w.member("ann")
		ann, bob := w.signInAs(open, p), w.signInAs(open, w.member("bob"))
		renew := func(token string) *edgev1.ServerFrame {
			return ann.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Renew{Renew: &edgev1.Renew{AccessToken: token}}})
		}
		if e := renew(w.Token(t, w.member("eve"))).GetError(); e.GetReason() != "FORBIDDEN" {
			t.Errorf("another's token: %v", e)
		}
		if e := renew("x").GetError(); e.GetReason() != "TOKEN_INVALID" {
			t.Errorf("no token: %v", e)
		}
		p.ExpiresAt = p.ExpiresAt.Add(time.Hour)
		if f := renew(w.Token(t, p)); f.GetDone() == nil {
			t.Fatalf("not renewed: %v", f)
		}
		w.clock.advance(20 * time.Minute) // of 15 that a token has
		bob.endsBy(expired)
		ann.quiet("a renewed session")
	})
}

func TestSilentConnectionsAreCut(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Silence: time.Minute, TokenGrace: time.Hour})
	w.signInAs((*world).webSocket, w.member("half-open"))
	alive := w.signInAs((*world).webSocket, w.member("alive"))
	w.clock.advance(50 * time.Second)
	alive.quiet("a ping")
	w.clock.advance(20 * time.Second)
	w.eventually("the silent one is cut", func() bool { return w.metric("stoa_edge_silent_total") == 1 })
	alive.quiet("another's silence")
}

func TestDevicePolicy(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		type login struct {
			device   string
			platform authv1.Platform
			ends     string // whose connection
		}
		const web, android, ios = authv1.Platform_PLATFORM_WEB, authv1.Platform_PLATFORM_ANDROID, authv1.Platform_PLATFORM_IOS
		for policy, logins := range map[edge.Policy][]login{
			edge.AnyDevice:         {{"phone", android, ""}, {"tablet", android, ""}, {"phone", android, "phone"}, {"browser", web, ""}, {"browser", web, ""}},
			edge.OneDevicePlatform: {{"phone", android, ""}, {"pad", ios, ""}, {"tablet", android, "phone"}, {"browser", web, ""}, {"browser", web, ""}},
			edge.OneDevice:         {{"phone", android, ""}, {"pad", ios, "phone"}, {"browser", web, "pad"}},
		} {
			t.Run(string(policy), func(t *testing.T) {
				t.Parallel()
				w := serve(t, edge.Config{Policy: policy})
				connected := make(map[string]*device)
				for i, l := range logins {
					p := w.member("ann")
					p.DeviceID, p.Platform = l.device, l.platform
					d := w.signInAs(open, p)
					if l.ends != "" {
						if g := connected[l.ends].endsBy(elsewhere); g.GetReconnectMs() != -1 {
							t.Errorf("login %d: %v", i, g)
						}
						delete(connected, l.ends)
					}
					connected[l.device] = d
					for _, other := range connected {
						other.quiet(fmt.Sprint("login ", i))
					}
				}
			})
		}
	})
}

func TestAnotherEdgesLogin(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{Policy: edge.OneDevice})
		ann := w.signInAs(open, w.member("ann"))
		tell(w, edge.TopicSessionOpened, "ann", &edgev1.SessionOpened{
			UserId: "ann", DeviceId: "elsewhere", Platform: authv1.Platform_PLATFORM_IOS, SessionId: "other.1",
		})
		ann.quiet("a login before this one")
		later := &edgev1.SessionOpened{UserId: "ann", DeviceId: "elsewhere", SessionId: "other.2", OpenedAt: ann.session.GetServerTime()}
		later.OpenedAt.Seconds += 10
		tell(w, edge.TopicSessionOpened, "ann", later)
		ann.endsBy(elsewhere)
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		var devices []*device
		for i := range 10 {
			devices = append(devices, w.signInAs(open, w.member(fmt.Sprint("user-", i))))
		}
		w.edge.Drain()
		delays := make(map[int32]bool)
		for _, d := range devices {
			g := d.endsBy(draining)
			if g.GetReconnectMs() < 1 || g.GetReconnectMs() > 5000 {
				t.Errorf("got %v", g)
			}
			delays[g.GetReconnectMs()] = true
		}
		if len(delays) < 3 {
			t.Errorf("all come back at once: %v", delays)
		}
		late := &device{wire: open(w), t: t}
		w.must(late.send(signIn(w.Token(t, w.member("late")))))
		if s, ok := late.wire.(*streamWire); ok {
			if err := s.end(); !errs.Is(err, connect.CodeUnavailable, edge.ReasonDraining) {
				t.Errorf("the RPC ended with %v", err)
			}
		} else if g := late.goodbye(); g.GetReason() != draining {
			t.Errorf("got %v", g)
		}
		if points := w.accessPoints(w.http.URL, ""); len(points) != 0 {
			t.Errorf("clients are sent here: %v", points)
		}
	})
}
