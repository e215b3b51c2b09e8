package authn_test

import (
	"maps"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// contracts returns every service of the house that is linked in, which the table's own imports make all of them.
func contracts() (services []protoreflect.ServiceDescriptor) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "stoa.") {
			for i := range f.Services().Len() {
				services = append(services, f.Services().Get(i))
			}
		}
		return true
	})
	return services
}

func TestTableListsEveryRPC(t *testing.T) {
	services := contracts()
	if len(services) < 8 {
		t.Fatalf("found only %d services", len(services))
	}
	if err := authn.Table().Check(services...); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	table := maps.Clone(authn.Table())
	delete(table, authv1connect.AuthServiceGetMeProcedure)
	delete(table, livev1connect.LiveServiceGetRoomProcedure)
	table["/stoa.auth.v1.AuthService/Hack"] = authn.Public
	table["/stoa.moon.v1.MoonService/Fly"] = authn.User
	table["nonsense"] = authn.User
	err := table.Check(contracts()...)
	if err == nil {
		t.Fatal("nothing was wrong")
	}
	for _, want := range []string{
		"RPC /stoa.auth.v1.AuthService/GetMe is not in", "RPC /stoa.live.v1.LiveService/GetRoom is not in",
		"RPC /stoa.auth.v1.AuthService/Hack in the authorization table does not exist",
		"RPC /stoa.moon.v1.MoonService/Fly in the authorization table does not exist", `"nonsense"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 5 {
		t.Errorf("%d complaints:\n%v", n, err)
	}
}

func TestEveryRPCTimesEveryRole(t *testing.T) {
	type caller struct {
		name   string
		p      authn.Principal
		ok     bool
		passes map[authn.Access]bool
	}
	user := func(role authv1.Role) authn.Principal {
		return authn.Principal{UserID: "u", SessionID: "s", Role: role}
	}
	callers := []caller{
		{"nobody", authn.Principal{}, false, map[authn.Access]bool{authn.Public: true}},
		{"nothing", authn.Principal{}, true, map[authn.Access]bool{authn.Public: true}},
		{"guest", user(authv1.Role_ROLE_GUEST), true, map[authn.Access]bool{authn.Public: true, authn.Guest: true}},
		{"user", user(authv1.Role_ROLE_USER), true, map[authn.Access]bool{
			authn.Public: true, authn.Guest: true, authn.User: true,
		}},
		{"moderator", user(authv1.Role_ROLE_MODERATOR), true, map[authn.Access]bool{
			authn.Public: true, authn.Guest: true, authn.User: true, authn.Moderator: true,
		}},
		{"admin", user(authv1.Role_ROLE_ADMIN), true, map[authn.Access]bool{
			authn.Public: true, authn.Guest: true, authn.User: true, authn.Moderator: true, authn.Admin: true,
		}},
		{"service", authn.Principal{Service: "live"}, true, map[authn.Access]bool{authn.Public: true, authn.Service: true}},
	}
	table := authn.Table()
	for procedure, access := range table {
		for _, c := range callers {
			err := table.Authorize(procedure, c.p, c.ok)
			switch {
			case c.passes[access]:
				if err != nil {
					t.Errorf("%s by %s: %v", procedure, c.name, err)
				}
			case !c.ok:
				if !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
					t.Errorf("%s by %s: %v", procedure, c.name, err)
				}
			default:
				if !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") || errs.Metadata(err)["required_role"] != access.String() {
					t.Errorf("%s by %s: %v %v", procedure, c.name, err, errs.Metadata(err))
				}
			}
		}
	}
	for _, c := range callers {
		if err := table.Authorize("/stoa.live.v1.LiveService/Unlisted", c.p, c.ok); !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") {
			t.Errorf("an unlisted RPC by %s: %v", c.name, err)
		}
	}
}

func TestWhoIsStaff(t *testing.T) {
	for role, want := range map[authv1.Role]struct{ staff, admin bool }{
		authv1.Role_ROLE_UNSPECIFIED: {}, authv1.Role_ROLE_GUEST: {}, authv1.Role_ROLE_USER: {},
		authv1.Role_ROLE_MODERATOR: {staff: true}, authv1.Role_ROLE_ADMIN: {staff: true, admin: true},
	} {
		if p := (authn.Principal{UserID: "u", Role: role}); p.IsStaff() != want.staff || p.IsAdmin() != want.admin {
			t.Errorf("%v: staff %v, administrator %v", role, p.IsStaff(), p.IsAdmin())
		}
	}
	if p := (authn.Principal{Service: "live"}); p.IsStaff() || p.IsAdmin() {
		t.Error("a service is staff")
	}
}

func TestPrincipalInContext(t *testing.T) {
	if _, ok := authn.From(t.Context()); ok {
		t.Error("a principal out of nowhere")
	}
	p := authn.Principal{UserID: "u", Role: authv1.Role_ROLE_ADMIN}
	if got := authn.MustFrom(authn.With(t.Context(), p)); got != p || !got.IsAdmin() || got.IsService() {
		t.Errorf("got %+v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustFrom without a principal returned")
		}
	}()
	authn.MustFrom(t.Context())
}
