// Package presence is who is there: people online by device and platform, when they were last seen, what they say about
// themselves, and how many are in a conversation.
//
// Edges report who is connected to them. Their reports are put together in memory; what is stored is what people chose, and
// when they were last seen. Changes are told once a second, merged, and at most maxTold people at a time, so that everyone
// who comes back at once costs a bounded number of events: each change once, the newest state of it.
//
// What must never happen here: anything told of somebody to those whom they do not let see it; a person who stays online
// because a node died; and a fan-out that grows with the square of those who come and go.
package presence

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// Topics of this service's events.
const (
	TopicChanged       = "presence.changed"
	TopicPeopleChanged = "presence.people_changed"
)

const (
	// maxTold is how many people, and how many conversations, one second tells of. The rest waits for the next.
	maxTold = 1000
	// maxStatus is the length of a status, in characters.
	maxStatus = 80
)

// Audiences, shorter.
const (
	everyone = presencev1.Audience_AUDIENCE_EVERYONE
	contacts = presencev1.Audience_AUDIENCE_CONTACTS
	nobody   = presencev1.Audience_AUDIENCE_NOBODY
)

// Person is what is kept of a user.
type Person struct {
	ID       string
	Online   presencev1.Audience // who sees that they are online, where, and their status
	LastSeen presencev1.Audience
	// LastSeenAt is zero for never.
	LastSeenAt time.Time
	Status     Status
}

// Status is what a user says about themselves.
type Status struct {
	Text, Emoji string
	Until       time.Time // zero for one without an end
}

// holds reports whether there is a status at a time.
func (s Status) holds(now time.Time) bool {
	return (s.Text != "" || s.Emoji != "") && (s.Until.IsZero() || now.Before(s.Until))
}

func (s Status) proto() *presencev1.Status {
	out := &presencev1.Status{Text: s.Text, Emoji: s.Emoji}
	if !s.Until.IsZero() {
		out.Until = timestamppb.New(s.Until)
	}
	return out
}

// stranger is what is known of a user who never chose anything.
func stranger(id string) Person { return Person{ID: id, Online: everyone, LastSeen: everyone} }

// seen is whether a person is there.
type seen struct {
	online    bool
	platforms []authv1.Platform // in rising order, each once
}

func (s seen) equal(other seen) bool {
	return s.online == other.online && slices.Equal(s.platforms, other.platforms)
}

// view is a person as somebody sees them who may see online and lastSeen of them.
func view(p Person, s seen, online, lastSeen bool, now time.Time) *presencev1.Presence {
	if !online && !lastSeen {
		return &presencev1.Presence{UserId: p.ID, Hidden: true}
	}
	out := &presencev1.Presence{UserId: p.ID}
	if online {
		out.Online, out.Platforms = s.online, s.platforms
		if p.Status.holds(now) {
			out.Status = p.Status.proto()
		}
	}
	if lastSeen && !s.online && !p.LastSeenAt.IsZero() {
		out.LastSeenAt = timestamppb.New(p.LastSeenAt)
	}
	return out
}
