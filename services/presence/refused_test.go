package presence_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// call is an RPC with a request.
type call func(context.Context, presencev1connect.PresenceServiceClient) error

func get(ids ...string) call {
	return func(ctx context.Context, c presencev1connect.PresenceServiceClient) error {
		_, err := c.BatchGetPresence(ctx, &presencev1.BatchGetPresenceRequest{UserIds: ids})
		return err
	}
}

func count(ids ...string) call {
	return func(ctx context.Context, c presencev1connect.PresenceServiceClient) error {
		_, err := c.CountPeople(ctx, &presencev1.CountPeopleRequest{ConversationIds: ids})
		return err
	}
}

func say(status *presencev1.Status) call {
	return func(ctx context.Context, c presencev1connect.PresenceServiceClient) error {
		_, err := c.SetStatus(ctx, &presencev1.SetStatusRequest{Status: status})
		return err
	}
}

func privacy(ctx context.Context, c presencev1connect.PresenceServiceClient) error {
	_, err := c.GetPrivacy(ctx, &presencev1.GetPrivacyRequest{})
	return err
}

func show(p *presencev1.Privacy, mask ...string) call {
	return func(ctx context.Context, c presencev1connect.PresenceServiceClient) error {
		_, err := c.UpdatePrivacy(ctx, &presencev1.UpdatePrivacyRequest{
			Privacy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
		return err
	}
}

// TestWhoMayCallWhat holds every RPC to every kind of caller.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	expired := s.User("late", authv1.Role_ROLE_USER)
	expired.ExpiresAt = time.Now().Add(-time.Hour)
	callers := []struct {
		name   string
		client presencev1connect.PresenceServiceClient
	}{
		{"nobody", presencev1connect.NewPresenceServiceClient(s.http.Client(), s.http.URL())},
		{"an expired token", presencev1connect.NewPresenceServiceClient(s.http.Client(), s.http.URL(), s.As(t, expired))},
		{"a service", presencev1connect.NewPresenceServiceClient(s.http.Client(), s.http.URL(), s.AsService("live"))},
		{"a guest", s.withRole("guest", authv1.Role_ROLE_GUEST)},
		{"a user", s.as("ann")},
		{"a moderator", s.withRole("mod", authv1.Role_ROLE_MODERATOR)},
		{"an administrator", s.withRole("admin", authv1.Role_ROLE_ADMIN)},
	}
	const (
		yes     = connect.Code(0)
		unknown = connect.CodeUnauthenticated
		not     = connect.CodePermissionDenied
	)
	for name, row := range map[string]struct {
		call call
		want []connect.Code
	}{
		"BatchGetPresence": {get("ben"), []connect.Code{unknown, unknown, not, yes, yes, yes, yes}},
		"CountPeople":      {count("room"), []connect.Code{unknown, unknown, not, yes, yes, yes, yes}},
		"SetStatus":        {say(nil), []connect.Code{unknown, unknown, not, not, yes, yes, yes}},
		"GetPrivacy":       {privacy, []connect.Code{unknown, unknown, not, not, yes, yes, yes}},
		"UpdatePrivacy":    {show(&presencev1.Privacy{}), []connect.Code{unknown, unknown, not, not, yes, yes, yes}},
	} {
		for i, caller := range callers {
			err := row.call(t.Context(), caller.client)
			if got := connect.CodeOf(err); (err == nil) != (row.want[i] == yes) || (err != nil && got != row.want[i]) {
				t.Errorf("%s by %s: %v, want %v", name, caller.name, err, row.want[i])
			}
		}
	}
}

// TestBadInputIsRefused by every RPC that takes some, and changes nothing.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.setStatus("ann", &presencev1.Status{Text: "stays"})
	s.setPrivacy("ann", contacts, everyone)
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprint("user-", i)
	}
	long := strings.Repeat("x", 65)
	for name, do := range map[string]call{
		"get none":               get(),
		"get too many":           get(many...),
		"get an empty one":       get("ben", ""),
		"get a long one":         get(long),
		"count none":             count(),
		"count too many":         count(many...),
		"count an empty one":     count("room", ""),
		"count a long one":       count(long),
		"say too much":           say(&presencev1.Status{Text: strings.Repeat("x", 81)}),
		"say no emoji":           say(&presencev1.Status{Emoji: "a b"}),
		"show nothing":           show(nil),
		"show to whom":           show(&presencev1.Privacy{Online: 9}),
		"show to whom at all":    show(&presencev1.Privacy{LastSeen: -1}),
		"show what":              show(&presencev1.Privacy{}, "status"),
		"show something and all": show(&presencev1.Privacy{}, "online", "*"),
	} {
		err := do(t.Context(), s.as("ann"))
		if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for rpc, body := range map[string]string{ // what is no text, and no client of ours would send
		"BatchGetPresence": "\x0a\x02\xff\xfe", "CountPeople": "\x0a\x02\xff\xfe", "SetStatus": "\x0a\x04\x0a\x02\xff\xfe",
		"UpdatePrivacy": "\x0a\x00\x12\x04\x0a\x02\xff\xfe", "GetPrivacy": "\xff",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			s.http.URL()+"/stoa.presence.v1.PresenceService/"+rpc, strings.NewReader(body))
		s.must(err)
		r.Header.Set("Content-Type", "application/proto")
		r.Header.Set("Authorization", "Bearer "+s.Token(t, s.User("ann", authv1.Role_ROLE_USER)))
		res, err := s.http.Client().Do(r)
		s.must(err)
		s.must(res.Body.Close())
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s of what is no text: %s", rpc, res.Status)
		}
	}
	for name, do := range map[string]call{"get": get(many[:200]...), "count": count(many[:200]...)} {
		if err := do(t.Context(), s.as("ann")); err != nil { // who shows contacts only, so that all are asked for
			t.Errorf("%s two hundred: %v", name, err)
		}
	}
	res, err := s.as("ann").GetPrivacy(t.Context(), &presencev1.GetPrivacyRequest{})
	s.must(err)
	if p := s.look("ann", "ann"); p.GetStatus().GetText() != "stays" || res.GetPrivacy().GetOnline() != contacts {
		t.Errorf("what was refused made it %v, %v", p, res)
	}
}
