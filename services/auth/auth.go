// Package auth is identity: devices, users, sessions, and the tokens that every other service trusts.
//
// A session is one user's stay on one device. It holds a family of refresh tokens, of which the latest is good once,
// and issues short access tokens, which the other services check by the published keys. Ending a session is therefore
// said three times: in its row, on the bus, and in the list for those who missed the bus.
//
// An answer to a refresh can get lost: a page is reloaded while it is on its way. The client then has the former token
// only, and shows it again. That is a retry, not a theft, within Config.RefreshGrace of its first use and while its
// successor has not been used: it is answered with another successor, and the lost one is void. Retries do not prolong
// the grace. Any other token of the family but the latest is one that was used twice, and ends the session: the former
// one after the grace, the former one once its successor was used, and a successor that a retry has made void. So of a
// thief and an owner who both exchange one token within the grace, the first to refresh with a void one ends it for
// both.
//
// What must never happen here: a password, token or private key in a log or an event; an answer that tells an unknown
// username from a wrong password; a session that goes on after its refresh token was used twice, retries aside.
package auth

import (
	"slices"
	"strings"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
)

// Reasons of refusals, besides the house's own.
const (
	ReasonUsernameTaken       = "USERNAME_TAKEN"
	ReasonDeviceNotFound      = "DEVICE_NOT_FOUND"
	ReasonUserNotFound        = "USER_NOT_FOUND"
	ReasonUserIsGuest         = "USER_IS_GUEST"
	ReasonSessionNotFound     = "SESSION_NOT_FOUND"
	ReasonSignUpDisabled      = "SIGN_UP_DISABLED"
	ReasonSetupTokenInvalid   = "SETUP_TOKEN_INVALID"
	ReasonSetupDone           = "SETUP_DONE"
	ReasonWrongPassword       = "WRONG_PASSWORD"
	ReasonWrongCredentials    = "WRONG_CREDENTIALS"
	ReasonBanned              = "BANNED"
	ReasonTooManyAttempts     = "TOO_MANY_ATTEMPTS"
	ReasonRefreshTokenInvalid = "REFRESH_TOKEN_INVALID"
	ReasonRefreshTokenReused  = "REFRESH_TOKEN_REUSED"
)

// Topics of the bus that this service publishes to.
const (
	// TopicSessionsRevoked carries authv1.SessionsRevoked, by the user's id.
	TopicSessionsRevoked = "auth.sessions_revoked"
	// TopicUserChanged carries authv1.UserChanged, by the user's id.
	TopicUserChanged = "auth.user_changed"
)

// Lengths of what people write, in runes.
const (
	maxNickname  = 32
	maxBanReason = 500
)

// User is a person, a guest, or the operator.
type User struct {
	// ID is a ULID, or operatorID.
	ID string
	// Username is in lower case; empty for guests.
	Username string
	Nickname string
	// AvatarURL is relative to the API's address, empty without a picture. Nobody sees it while the user is banned.
	AvatarURL string
	Role      authv1.Role
	// PasswordHash is a PHC string; empty for those who cannot sign in by password.
	PasswordHash string
	// Ban is nil without one. It may have ended: ask BannedAt.
	Ban       *Ban
	CreatedAt time.Time
}

// Ban keeps a user out.
type Ban struct {
	Reason string
	// Until is zero for a ban without an end.
	Until time.Time
}

// BannedAt returns the ban that holds at a time, nil if none does.
func (u User) BannedAt(now time.Time) *Ban {
	if u.Ban == nil || (!u.Ban.Until.IsZero() && !now.Before(u.Ban.Until)) {
		return nil
	}
	return u.Ban
}

// Device is one installation of a client.
type Device struct {
	ID         string
	Platform   authv1.Platform
	Model      string
	AppVersion string
	// UserID is who signed in on it last; empty before the first time.
	UserID string
}

// Session is one user's stay on one device.
type Session struct {
	ID       string
	UserID   string
	DeviceID string
	// FamilyHash and TokenHash are of its refresh token; nil when it has none.
	FamilyHash []byte
	TokenHash  []byte
	// FormerHash is of the refresh token before that one, ReplacedAt when that was first exchanged; nil and zero before
	// the first refresh.
	FormerHash []byte
	ReplacedAt time.Time
	// RefreshedAt is when it was issued its last token.
	RefreshedAt time.Time
	ExpiresAt   time.Time
	// RevokedAt is zero while it is not revoked.
	RevokedAt time.Time
}

// SignedInDevice is a device with what its session tells.
type SignedInDevice struct {
	Device

	SessionID  string
	SignedInAt time.Time
	// LastSeenAt is when the session was issued its last token.
	LastSeenAt time.Time
}

// UserFilter says which users a list holds. The zero value means all.
type UserFilter struct {
	// Contains is a part of a username or nickname, in any case.
	Contains string
	// NicknameOnly looks into nicknames only, and not at guests: people search for people by them, and there are many
	// more guests, of names that nobody chose.
	NicknameOnly bool
	OnlyBanned   bool
	OnlyStaff    bool
}

// Grant is what a client gets for proving who it is.
type Grant struct {
	User        User
	AccessToken string
	// RefreshToken is empty for the operator.
	RefreshToken string
	// ExpiresAt is when the access token ends, UTC, whole seconds.
	ExpiresAt time.Time
}

// Revocation ends every token of a session.
type Revocation struct {
	SessionID string
	RevokedAt time.Time
}

// reservedNames could be taken for the house itself. They are compared without separators.
func reservedNames() []string {
	return []string{
		"admin", "administrator", "api", "guest", "help", "moderator", "null", "official", "operator", "owner", "root",
		"security", "service", "staff", "stoa", "superuser", "support", "system", "undefined",
	}
}

// checkUsername returns a username in the form in which it is unique. Errors: ALREADY_EXISTS (USERNAME_TAKEN) for a
// reserved one. Its letters were checked by the contract.
func checkUsername(name string) (string, error) {
	name = strings.ToLower(name)
	if slices.Contains(reservedNames(), strings.NewReplacer("_", "", ".", "", "-", "").Replace(name)) {
		return "", errUsernameTaken()
	}
	return name, nil
}

// checkNickname trims a nickname. Errors: INVALID_ARGUMENT.
func checkNickname(name string) (string, error) {
	name, ok := words.Line(name, maxNickname)
	if !ok {
		return "", errField("nickname", "a nickname is one line of 1 to 32 characters, of which one is visible")
	}
	return name, nil
}

func errField(field, message string) *errs.Error {
	return errs.InvalidArgument(errs.ReasonInvalidArgument, "%s", message).With("field", field)
}

func errUsernameTaken() *errs.Error {
	return errs.AlreadyExists(ReasonUsernameTaken, "this username is taken")
}

func errDeviceNotFound() *errs.Error {
	return errs.NotFound(ReasonDeviceNotFound, "there is no such device")
}

func errUserNotFound() *errs.Error {
	return errs.NotFound(ReasonUserNotFound, "there is no such user")
}

func errWrongCredentials() *errs.Error {
	return errs.Unauthenticated(ReasonWrongCredentials, "the username or the password is wrong")
}

// errPasswordMoved says that a hash was replaced while a password was compared with it: it was changed, or renewed by
// another sign-in. The next try finds out.
func errPasswordMoved() *errs.Error {
	return errs.Unavailable(errs.ReasonUnavailable, "the password changed meanwhile: try again")
}

func errTokenInvalid() *errs.Error {
	return errs.Unauthenticated(ReasonRefreshTokenInvalid, "the refresh token is not valid: sign in again")
}

func errTokenReused() *errs.Error {
	return errs.Unauthenticated(ReasonRefreshTokenReused, "the refresh token was used before: the session has ended")
}

func errSessionNotFound() *errs.Error {
	return errs.NotFound(ReasonSessionNotFound, "there is no such session")
}

// errBanned tells the banned why and until when: "ban_reason", and "ban_until" (RFC 3339, UTC) unless it is for ever.
func errBanned(ban Ban) *errs.Error {
	err := errs.PermissionDenied(ReasonBanned, "this account is banned").With("ban_reason", ban.Reason)
	if !ban.Until.IsZero() {
		err = err.With("ban_until", ban.Until.UTC().Format(time.RFC3339))
	}
	return err
}
