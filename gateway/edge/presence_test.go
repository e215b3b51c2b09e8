package edge_test

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// presenceBook is what presence knows: people are online unless something else is said of them, and see each other unless
// one of them hides. It counts turns as presence does: even ones for what it tells, odd ones for its answers.
type presenceBook struct {
	mu       sync.Mutex
	turn     int64
	people   map[string]*presencev1.Presence
	hides    map[string]bool // themselves
	noSeen   map[string]bool // when they were last seen
	refuse   error           // answers nobody
	underway func()          // called with an answer that was read, before it is given
	away     int             // so many questions are not answered
}

func (b *presenceBook) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *presenceBook) look(viewer, user string) *presencev1.Presence {
	p := &presencev1.Presence{UserId: user, Online: true}
	if known := b.people[user]; known != nil {
		p = proto.CloneOf(known)
	}
	if viewer != user && (b.hides[user] || b.hides[viewer]) {
		p = &presencev1.Presence{UserId: user, Hidden: true}
	}
	if b.noSeen[viewer] && viewer != user {
		p.LastSeenAt = nil
	}
	return p
}

func (n *neighbours) BatchGetPresence(
	ctx context.Context, r *presencev1.BatchGetPresenceRequest,
) (*presencev1.BatchGetPresenceResponse, error) {
	b, viewer := &n.presence, authn.MustFrom(ctx).UserID
	b.mu.Lock()
	refuse, underway := b.refuse, b.underway
	if b.away > 0 {
		b.away--
		refuse = errs.Unavailable(errs.ReasonUnavailable, "presence is away")
	}
	res := &presencev1.BatchGetPresenceResponse{}
	for _, id := range r.GetUserIds() {
		p := b.look(viewer, id)
		p.Turn = b.turn + 1
		res.Presences = append(res.Presences, p)
	}
	b.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	if underway != nil {
		underway()
	}
	return res, nil
}

func (n *neighbours) GetPrivacy(
	ctx context.Context, _ *presencev1.GetPrivacyRequest,
) (*presencev1.GetPrivacyResponse, error) {
	b, viewer := &n.presence, authn.MustFrom(ctx).UserID
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &presencev1.Privacy{
		Online: presencev1.Audience_AUDIENCE_EVERYONE, LastSeen: presencev1.Audience_AUDIENCE_EVERYONE,
	}
	if b.hides[viewer] {
		out.Online = presencev1.Audience_AUDIENCE_NOBODY
	}
	if b.noSeen[viewer] {
		out.LastSeen = presencev1.Audience_AUDIENCE_NOBODY
	}
	return &presencev1.GetPrivacyResponse{Privacy: out}, nil
}

// changed changes people and returns the event that tells it, of those who do not hide.
func (w *world) changed(presences ...*presencev1.Presence) *presencev1.PresenceChanged {
	b := &w.chat.presence
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn += 2
	event := &presencev1.PresenceChanged{Turn: b.turn}
	for _, p := range presences {
		if b.people == nil {
			b.people = make(map[string]*presencev1.Presence)
		}
		b.people[p.GetUserId()] = p
		if !b.hides[p.GetUserId()] {
			p = proto.CloneOf(p)
			p.Turn = b.turn
			event.Presences = append(event.Presences, p)
		}
	}
	return event
}

// hiding has users hide themselves, or show themselves again, and returns the event that tells it.
func (w *world) hiding(hides bool, users ...string) *presencev1.PresenceChanged {
	event := w.changed()
	w.chat.presence.set(func() {
		if w.chat.presence.hides == nil {
			w.chat.presence.hides = make(map[string]bool)
		}
		for _, u := range users {
			w.chat.presence.hides[u] = hides
		}
	})
	event.PrivacyChanged = users
	return event
}

func (w *world) tellPresence(event *presencev1.PresenceChanged) {
	w.t.Helper()
	tell(w, "presence.changed", "", event)
}

func watch(users ...string) *edgev1.ClientFrame {
	return &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Watch{Watch: &edgev1.Watch{UserIds: users}}}
}

// watches follows people and returns how they are.
func (d *device) watches(users ...string) []*presencev1.Presence {
	d.t.Helper()
	answer := d.ask(watch(users...))
	if answer.GetWatching() == nil || len(answer.GetWatching().GetPresences()) != len(users) {
		d.t.Fatalf("watching %v: %v", users, answer)
	}
	return answer.GetWatching().GetPresences()
}

// sees waits until something is told of a user, and returns it.
func (d *device) sees(user string) *presencev1.Presence {
	d.t.Helper()
	find := func() *presencev1.Presence {
		for i, e := range d.events {
			if p := e.GetPresence(); p.GetUserId() == user {
				d.events = slices.Delete(d.events, i, i+1)
				return p
			}
		}
		return nil
	}
	p := find()
	if p == nil {
		d.until("news of "+user, func(*edgev1.ServerFrame) bool { p = find(); return p != nil })
	}
	return p
}

// fence waits until all is handled that was told of presence so far.
func (w *world) fence(d *device, name string) {
	w.t.Helper()
	w.tellPresence(w.changed(&presencev1.Presence{UserId: name}))
	d.sees(name)
}

func offline(user string) *presencev1.Presence { return &presencev1.Presence{UserId: user} }
func online(user string) *presencev1.Presence {
	return &presencev1.Presence{UserId: user, Online: true}
}
