// Package admin is what operators do to people and rooms, and the log of who did it.
//
// It decides and records; the acts themselves belong to the services that own the things. What must never happen here:
// a change that is answered before its audit entry is on disk.
package admin

import (
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

// Acts of administrators, as the audit log spells them.
const (
	ActionBanUser      = "user.ban"
	ActionUnbanUser    = "user.unban"
	ActionSetUserRole  = "user.set_role"
	ActionEndBroadcast = "broadcast.end"
	ActionUpdateSite   = "site.update"
)

// ReasonCannotBanSelf is the reason of an administrator's attempt to ban themselves.
const ReasonCannotBanSelf = "CANNOT_BAN_SELF"

// Entry is one act of an administrator.
type Entry struct {
	ID       string // ULID, rising with time
	At       time.Time
	ActorID  string
	Action   string
	TargetID string
	// Detail is the actor's reason, or what was changed.
	Detail string
	// Error is empty when the act succeeded; otherwise the reason word of the refusal.
	Error string
}

// Filter narrows the audit log. Empty fields match everything.
type Filter struct {
	ActorID  string
	TargetID string
}

// failure is how the log tells why an act failed: by the reason that its caller was told, never by an inner text.
func failure(err error) string {
	if err == nil {
		return ""
	}
	return errs.Reason(errs.ToConnect(err))
}
