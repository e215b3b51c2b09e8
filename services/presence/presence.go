// Package presence is who is there: people online by device and platform, when they were last seen, what they say about
// themselves, and how many are in a conversation.
//
// Edges report who is connected to them. Their reports are put together in memory; what is stored is what people chose, when
// they were last seen, and every few minutes who is here, for the next start.
//
// How changes are told, so that everyone who comes back at once costs little: who changed stands in a queue, once, however
// often they change meanwhile. Once a second the first maxTold leave it and are told in one event, as they are then; who is
// then as they were told last is left out. So a second costs at most one event of maxTold people, each change waits for
// those before it and no longer, and N people who come and go cost N entries, not N for each. Conversations and their
// numbers are told in the same way. Edges in turn hand a presence to those only who follow that user.
//
// Who leaves is not told of for the grace, in which most come back; nor is a device of theirs.
//
// Each of these processes hears all reports and tells of all people: one is enough, and more tell the same twice.
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

// maxTold is how many people, and how many conversations, one second tells of. The rest waits for the next.
const maxTold = 1000

// Audiences, shorter.
const (
	everyone = presencev1.Audience_AUDIENCE_EVERYONE
	contacts = presencev1.Audience_AUDIENCE_CONTACTS
	nobody   = presencev1.Audience_AUDIENCE_NOBODY
)

// Person is what is kept of a user.
type Person struct {
	ID string
	// Known means that something is stored of them.
	Known    bool
	Online   presencev1.Audience // who sees that they are online, where, and their status
	LastSeen presencev1.Audience // who of those sees when they were last seen
	// LastSeenAt is UTC, to the minute, and zero for never.
	LastSeenAt time.Time
	Status     Status
}

// stranger is what is known of a user who never chose anything.
func stranger(id string) Person { return Person{ID: id, Online: everyone, LastSeen: everyone} }

// sight is what somebody may see of a person.
type sight struct{ online, lastSeen bool }

// both is what may be seen by two rules.
func (s sight) both(other sight) sight {
	return sight{online: s.online && other.online, lastSeen: s.lastSeen && other.lastSeen}
}

// sightOf returns what a viewer may see of a person. Nobody sees of another what they hide from that one, whatever their
// role; everybody sees all of themselves. When somebody was last seen is for those only who see whether they are online:
// it says the same a minute later.
func sightOf(viewer, p Person, contact bool) sight {
	if viewer.ID == p.ID {
		return sight{online: true, lastSeen: true}
	}
	among := func(a presencev1.Audience) bool { return a == everyone || (a == contacts && contact) }
	online := among(p.Online) && among(viewer.Online)
	return sight{online: online, lastSeen: online && among(p.LastSeen) && among(viewer.LastSeen)}
}

// seen is whether a person is there.
type seen struct {
	online    bool
	platforms []authv1.Platform // in rising order, each once
	// leftAt is when they left, UTC, as long as that is not stored; else zero.
	leftAt time.Time
}

// equal reports whether both look the same to others.
func (s seen) equal(other seen) bool {
	return s.online == other.online && slices.Equal(s.platforms, other.platforms)
}

// view is a person to somebody who may see that much.
func view(p Person, s seen, may sight, now time.Time) *presencev1.Presence {
	out := &presencev1.Presence{UserId: p.ID}
	if !may.online {
		out.Hidden = true
		return out
	}
	out.Online, out.Platforms = s.online, s.platforms
	if p.Status.holds(now) {
		out.Status = p.Status.proto()
	}
	if !may.lastSeen || s.online {
		return out
	}
	at := p.LastSeenAt
	if !s.leftAt.IsZero() {
		at = s.leftAt
	}
	if at.After(now) { // the clock went back
		at = now
	}
	if !at.IsZero() {
		out.LastSeenAt = timestamppb.New(toMinute(at))
	}
	return out
}

// toMinute is as exactly as anybody learns when somebody left.
func toMinute(t time.Time) time.Time { return t.Truncate(time.Minute) }
