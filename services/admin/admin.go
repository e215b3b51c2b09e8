// Package admin is what the staff do to people, rooms and talk, the log of who did it, the settings of the site, and how
// the installation does.
//
// It decides and records; the acts themselves belong to the services that own the things. What must never happen here:
// a change that is answered before its audit entry is on disk.
package admin

import (
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// Acts of the staff, as the audit log spells them. What comes before the dot is what the target is.
const (
	ActionBanUser       = "user.ban"
	ActionUnbanUser     = "user.unban"
	ActionSetUserRole   = "user.set_role"
	ActionRevokeDevice  = "user.revoke_device"
	ActionMuteUser      = "user.mute"
	ActionUnmuteUser    = "user.unmute"
	ActionEndBroadcast  = "broadcast.end"
	ActionWarnStreamer  = "room.warn"
	ActionTakeDownCover = "room.take_down_cover"
	ActionDeleteMessage = "message.delete"
	ActionUpdateSite    = "site.update"
)

// Reasons of refusals.
const (
	ReasonUserNotFound        = "USER_NOT_FOUND"
	ReasonCannotBanSelf       = "CANNOT_BAN_SELF"
	ReasonCannotChangeOwnRole = "CANNOT_CHANGE_OWN_ROLE"
	ReasonCannotMuteStaff     = "CANNOT_MUTE_STAFF"
)

// Entry is one act of the staff.
type Entry struct {
	ID      string // ULID, rising with time
	At      time.Time
	ActorID string
	// ActorName and TargetName are what the two were called at the time of the act: a nickname or a title. They are empty
	// where that is not known, and in entries from before names were kept.
	ActorName  string
	Action     string
	TargetID   string // of a user, a room or a conversation; empty for the site
	TargetName string
	// Detail is the actor's reason, or what was changed. Of a message that was deleted it holds who wrote it and how it
	// began, so that others of the staff can judge the act.
	Detail string
	// Error is empty when the act succeeded; otherwise the reason word of the refusal.
	Error string
}

// Filter narrows the audit log. Zero fields match everything.
type Filter struct {
	ActorID  string
	TargetID string
	Action   string // with a trailing dot, all that begin so
	Since    time.Time
	Until    time.Time // exclusive
}

// Mute keeps a user from writing.
type Mute struct {
	User           *authv1.User // only with its id where the user is gone
	ConversationID string       // empty for everywhere
	Reason         string
	Until          time.Time // zero for ever
	CreatedAt      time.Time
}

// failure is how the log tells why an act failed: by the reason that its caller was told, never by an inner text.
func failure(err error) string {
	if err == nil {
		return ""
	}
	return errs.Reason(errs.ToConnect(err))
}
