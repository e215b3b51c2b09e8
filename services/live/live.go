// Package live is live video: rooms, the broadcasts in them, their stream keys and their playback.
//
// A room is a lasting place; a broadcast is one going-live in it. Media comes in by ingest, is shared out by hub, and
// leaves by playback and hls; this package decides who may, and keeps the states. Media must never wait for it: between
// two changes of state it only hands frames on.
package live

import (
	"fmt"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
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
	CoverMode       CoverMode
	CoverVersion    int64    // Unix ms of the latest change of the cover; 0 without one
	Warning         *Warning // the one that was not acknowledged; nil without
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// CoverMode is where a room's cover comes from, with the values of stoa.live.v1.CoverMode.
type CoverMode int

// Modes of covers.
const (
	AutomaticCover CoverMode = iota + 1
	OwnCover
	TakenDownCover
)

// Warning is what the staff have to say to a room's owner.
type Warning struct {
	ID   string
	Text string
	At   time.Time
}

// Broadcast is one going-live in a room.
type Broadcast struct {
	ID        string
	RoomID    string
	State     State
	Title     string // of the room when it began
	StartedAt time.Time
	EndedAt   time.Time // zero before the end
	Viewers   int       // people now
	Counts    Counts    // so far, or in all
}

// Counts are what a broadcast came to.
type Counts struct {
	PeakViewers int // most people at one time
	Messages    int64
	Likes       int64

	// Of the last message that was counted; 0 before the first.
	messageEpoch int64
	messageSeq   int64
}

// Duration is how long the broadcast went, or goes on at the time now.
func (b Broadcast) Duration(now time.Time) time.Duration {
	if !b.EndedAt.IsZero() {
		now = b.EndedAt
	}
	return max(0, now.Round(0).Sub(b.StartedAt)) // by the wall clock, which is what is stored
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
	title, ok := words.Line(title, maxTitle)
	if !ok {
		return "", errs.InvalidArgument("TITLE_INVALID", "A title is one line of 1 to %d characters that can be seen.", maxTitle)
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

func errRoomNotFound(id string) error {
	return errs.NotFound("ROOM_NOT_FOUND", "There is no room %q.", id)
}

func errNotLive() error {
	return errs.FailedPrecondition("NOT_LIVE", "The room is not on the air.")
}

func errNotOwner() error {
	return errs.PermissionDenied("NOT_ROOM_OWNER", "Only the room's owner may do this.")
}

func errRoomCreationDisabled() error {
	return errs.FailedPrecondition("ROOM_CREATION_DISABLED", "New rooms are not opened here at the moment.")
}

func errNoStreamKey() error {
	return errs.FailedPrecondition("NO_STREAM_KEY", "There is no stream key to show. Issue a new one.")
}

func errNoSnapshot() error {
	return errs.FailedPrecondition("NO_SNAPSHOT", "There is no snapshot to keep: the room was not on the air yet.")
}

func errCoverTakenDown() error {
	return errs.FailedPrecondition("COVER_TAKEN_DOWN", "The staff took the cover down. The next broadcast has covers again.")
}

func errWarningNotFound(id string) error {
	return errs.NotFound("WARNING_NOT_FOUND", "There is no warning %q to acknowledge.", id)
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
