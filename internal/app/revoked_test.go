package app_test

import (
	"testing"
	"time"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/testkit"
)

// revokedWithin is what is promised: so long after a session was revoked nothing goes over its connections.
const revokedWithin = 5 * time.Second

// TestRevokedConnectionsEnd ends sessions in each way, and every kind of connection with them.
func TestRevokedConnectionsEnd(t *testing.T) {
	t.Parallel()
	s, trust := edgeServer(t, true)
	room := as(s, binary, s.User(t, "owner").Token).openRoom(t, "A room").GetConversationId()
	operator := as(s, binary, s.Operator(t).Token)
	for name, revoke := range map[string]func(t *testing.T, p testkit.Person) error{
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
	} {
		t.Run(name, func(t *testing.T) {
			person, other := s.User(t, "person"), s.User(t, "other")
			all := connectEach(t, s, trust, room, func(string) string { return person.Token })
			bystander := overStream(t, as(s, binary, other.Token), room)
			type end struct {
				name string
				last *edgev1.ServerFrame
			}
			ends := make(chan end, len(all))
			for _, l := range all {
				go func() {
					e := end{name: l.name}
					for f, err := l.receive(); err == nil; f, err = l.receive() {
						e.last = f
					}
					ends <- e
				}()
			}
			if err := revoke(t, person); err != nil {
				t.Fatal(err)
			}
			limit := time.After(revokedWithin)
			for range all {
				select {
				case e := <-ends:
					if g := e.last.GetGoodbye(); g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED {
						t.Errorf("the last frame over %s is %v", e.name, e.last)
					}
				case <-limit:
					t.Fatalf("%s: connections go on after %v", name, revokedWithin)
				}
			}
			if err := bystander.send(message(room, "still here")); err != nil {
				t.Error(err)
			}
			bystander.until(t, "their own message", func(f *edgev1.ServerFrame) bool { return f.GetPush() != nil })
		})
	}
}
