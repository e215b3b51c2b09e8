package chat

import (
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// Page tokens are no secret, and everybody can write one. A place that no list ever gave out is refused when the token is
// read, so that no query meets it.

// rowCursor is the last row that a page showed.
type rowCursor struct {
	Row int64 `json:"i"`
}

// Valid reports whether there can be such a row.
func (c rowCursor) Valid() bool { return c.Row > 0 }

// memberCursor is the last member that a page showed, or a place before all members of a role.
type memberCursor struct {
	Role   chatv1.MemberRole `json:"r"`
	Joined int64             `json:"j"` // Unix time in microseconds
	Row    int64             `json:"i"`
}

// Valid reports whether there can be such a member.
func (c memberCursor) Valid() bool {
	return c.Row > 0 && c.Joined > 0 && c.Role > gone && c.Role <= master
}

// userCursor is the last user that a page showed, of a list in the order of ids.
type userCursor struct {
	UserID string `json:"u"`
}

// Valid reports whether there can be such a user.
func (c userCursor) Valid() bool { return c.UserID != "" }
