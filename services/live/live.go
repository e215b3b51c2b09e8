// Package live is live video: rooms, the broadcasts in them, their stream keys and their playback.
//
// A room is a lasting place; a broadcast is one going-live in it. Media comes in by ingest, is shared out by hub, and
// leaves by playback and hls; this package decides who may, and keeps the states. Media must never wait for it: between
// two changes of state it only hands frames on.
package live

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stoa-live/stoa/internal/errs"
)

// State is where a broadcast stands, with the values of stoa.live.v1.BroadcastState.
type State int

// States of a broadcast: starting → live → interrupted → live | ended.
const (
	Starting State = iota + 1
	Live
	Interrupted
	Ended
)

// Watchable tells whether viewers may be connected.
func (s State) Watchable() bool { return s == Live || s == Interrupted }

// Room is a lasting place where one person goes live.
type Room struct {
	ID              string
	OwnerID         string
	Title           string
	CategoryID      string
	ConversationID  string
	RequestID       string
	LastBroadcastID string // empty before the first
	CoverVersion    int64  // Unix ms of the latest snapshot; 0 before the first
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Broadcast is one going-live in a room.
type Broadcast struct {
	ID        string
	RoomID    string
	State     State
	StartedAt time.Time
	EndedAt   time.Time // zero before the end
	Viewers   int       // people now
}

// Category groups rooms.
type Category struct{ ID, Name, NameZH string }

// categories are those of every installation.
func categories() []Category {
	return []Category{
		{"talk", "Just chatting", "聊天"},
		{"games", "Games", "游戏"},
		{"music", "Music", "音乐"},
		{"outdoors", "Outdoors", "户外"},
		{"learning", "Learning", "学习"},
		{"shopping", "Shopping", "购物"},
		{"sports", "Sports", "体育"},
		{"technology", "Technology", "科技"},
		{"other", "Other", "其他"},
	}
}

// Limits of rooms.
const (
	maxTitle         = 80 // characters
	maxRoomsPerOwner = 20
)

func validTitle(title string) (string, error) {
	title = strings.TrimSpace(title)
	if title == "" || utf8.RuneCountInString(title) > maxTitle {
		return "", errs.InvalidArgument("TITLE_INVALID", "A title has 1 to %d characters that can be seen.", maxTitle)
	}
	visible := false
	for _, r := range title {
		if unicode.IsControl(r) {
			return "", errs.InvalidArgument("TITLE_INVALID", "A title has no control characters.")
		}
		visible = visible || unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	if !visible {
		return "", errs.InvalidArgument("TITLE_INVALID", "A title has 1 to %d characters that can be seen.", maxTitle)
	}
	return title, nil
}

func validCategory(id string) error {
	for _, c := range categories() {
		if c.ID == id {
			return nil
		}
	}
	return errs.NotFound("CATEGORY_NOT_FOUND", "There is no category %q.", id)
}

// newStreamKey returns a key of 130 random bits and its hash. Only the hash is kept.
func newStreamKey() (key string, hash []byte) {
	key = "sk_" + rand.Text()
	return key, hashKey(key)
}

func hashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

func errRoomNotFound(id string) error {
	return errs.NotFound("ROOM_NOT_FOUND", "There is no room %q.", id)
}

func errNotLive() error {
	return errs.FailedPrecondition("NOT_LIVE", "The room is not on the air.")
}

func errNotOwner() error {
	return errs.PermissionDenied("NOT_ROOM_OWNER", "Only the room's owner may do this.")
}

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Live:
		return "live"
	case Interrupted:
		return "interrupted"
	case Ended:
		return "ended"
	}
	return fmt.Sprintf("state %d", int(s))
}
