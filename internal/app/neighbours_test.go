package app_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

// serviceKey is one of tests.
var serviceKey = base64.StdEncoding.EncodeToString(make([]byte, 32))

func serviceToken(t *testing.T, encoded string) string {
	t.Helper()
	key, err := authn.ParseServiceKey(encoded)
	if err != nil {
		t.Fatal(err)
	}
	token, err := authn.NewServiceTokens(key, time.Now).Token("shop")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestInternalRPCsNeedAServicesToken on the port for neighbours, and do not exist on the one for clients.
func TestInternalRPCsNeedAServicesToken(t *testing.T) {
	s := testkit.Start(t, func(c *config.Serve) { c.InternalAddr, c.ServiceKey = "127.0.0.1:0", serviceKey })
	internal := "http://" + s.InternalAddr().String()
	ann := s.User(t, "ann")
	other := base64.StdEncoding.EncodeToString(append(make([]byte, 31), 1))
	for _, c := range []struct {
		name, url, token string
		code             connect.Code
		reason           string
	}{
		{"nobody", internal, "", connect.CodeUnauthenticated, authn.ReasonTokenMissing},
		{"a user", internal, ann.Token, connect.CodePermissionDenied, errs.ReasonForbidden},
		{"a service of another house", internal, serviceToken(t, other), connect.CodeUnauthenticated, authn.ReasonTokenInvalid},
		{"a user in front", s.URL, ann.Token, connect.CodeUnimplemented, ""},
		{"a service in front", s.URL, serviceToken(t, serviceKey), connect.CodeUnimplemented, ""},
		{"a service", internal, serviceToken(t, serviceKey), 0, ""},
	} {
		var options []connect.ClientOption
		if c.token != "" {
			options = append(options, authntest.WithToken(c.token))
		}
		_, err := edgev1connect.NewPushServiceClient(s.HTTP2, c.url, options...).PushToUsers(t.Context(), &edgev1.PushToUsersRequest{
			UserIds: []string{ann.User.GetId()}, Notice: &edgev1.Notice{Topic: "order.paid"},
		})
		if (err == nil) != (c.code == 0) || err != nil && connect.CodeOf(err) != c.code || c.reason != "" && errs.Reason(err) != c.reason {
			t.Errorf("%s: %v, want %v %s", c.name, err, c.code, c.reason)
		}
	}
	// What users may call they may call there as well: that is how a front reaches it.
	me, err := authv1connect.NewAuthServiceClient(s.HTTP2, internal, authntest.WithToken(ann.Token)).
		GetMe(t.Context(), &authv1.GetMeRequest{})
	if err != nil || me.GetUser().GetId() != ann.User.GetId() {
		t.Errorf("got %v, %v", me, err)
	}
	res, err := s.HTTP1.Get(internal + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a test
	if res.StatusCode != http.StatusOK {
		t.Errorf("keys: %v", res.Status)
	}
}
