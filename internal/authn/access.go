package authn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// Access is what an RPC asks of its caller. The zero value admits nobody.
type Access int

// In rising order of trust; each role may do what the roles below it may.
const (
	denied Access = iota
	// Public admits everyone, also without a token or with a bad one.
	Public
	// Guest admits every signed-in user, guests too.
	Guest
	// User admits those who signed up.
	User
	// Moderator admits the staff: moderators and administrators.
	Moderator
	// Admin admits administrators.
	Admin
	// Service admits services and nobody else. Services in turn pass Public and Service only: what a handler for people
	// does with a caller who is no user is thereby never a question.
	Service
)

// String is how metadata "required_role" spells it.
func (a Access) String() string {
	switch a {
	case Public:
		return "public"
	case Guest:
		return roleGuest
	case User:
		return roleUser
	case Moderator:
		return roleModerator
	case Admin:
		return roleAdmin
	case Service:
		return "service"
	default:
		return "denied"
	}
}

// Policy maps procedures ("/stoa.live.v1.LiveService/GetRoom") to what they ask. A procedure that is not listed is
// refused.
type Policy map[string]Access

// Authorize decides about a call by p, or by nobody when ok is false. Errors: UNAUTHENTICATED (TOKEN_MISSING),
// PERMISSION_DENIED (FORBIDDEN, with "required_role").
func (t Policy) Authorize(procedure string, p Principal, ok bool) error {
	access := t[procedure]
	switch {
	case access == Public:
		return nil
	case access == denied:
		return errs.PermissionDenied(errs.ReasonForbidden, "nobody may call this").With("required_role", access.String())
	case !ok:
		return errs.Unauthenticated(ReasonTokenMissing, "sign in first")
	case access.admits(p):
		return nil
	default:
		return errs.PermissionDenied(errs.ReasonForbidden, "this needs the role %q", access.String()).
			With("required_role", access.String())
	}
}

func (a Access) admits(p Principal) bool {
	if p.IsService() {
		return a == Service
	}
	switch a {
	case Guest:
		return p.Role >= authv1.Role_ROLE_GUEST
	case User:
		return p.Role >= authv1.Role_ROLE_USER
	case Moderator:
		return p.Role >= authv1.Role_ROLE_MODERATOR
	case Admin:
		return p.Role >= authv1.Role_ROLE_ADMIN
	default:
		return false
	}
}

// Check holds the table to the contracts: every RPC of the given services must be listed, and every listed RPC must
// exist. It returns one error that names all that is wrong; start-up fails on it.
func (t Policy) Check(services ...protoreflect.ServiceDescriptor) error {
	var wrong []error
	exists := make(map[string]bool)
	checked := make(map[string]bool)
	for _, service := range services {
		checked[string(service.FullName())] = true
		methods := service.Methods()
		for i := range methods.Len() {
			procedure := fmt.Sprintf("/%s/%s", service.FullName(), methods.Get(i).Name())
			exists[procedure] = true
			if t[procedure] == denied {
				wrong = append(wrong, fmt.Errorf("RPC %s is not in the authorization table", procedure))
			}
		}
	}
	for _, procedure := range slices.Sorted(maps.Keys(t)) {
		service, method, ok := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
		switch {
		case !ok || !strings.HasPrefix(procedure, "/"):
			wrong = append(wrong, fmt.Errorf("%q in the authorization table is no procedure", procedure))
		case exists[procedure] || strings.HasPrefix(service, "grpc."): // health and reflection: handlers without a schema of ours
		case checked[service] || !registered(service, method):
			wrong = append(wrong, fmt.Errorf("RPC %s in the authorization table does not exist", procedure))
		}
	}
	return errors.Join(wrong...)
}

// registered reports whether a linked-in contract has the method.
func registered(service, method string) bool {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return false
	}
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	return ok && descriptor.Methods().ByName(protoreflect.Name(method)) != nil
}
