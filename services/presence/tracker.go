package presence

import (
	"cmp"
	"slices"
	"sync"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// maxDeparted is how many users it is remembered of when they left, while that cannot be stored.
const maxDeparted = 200_000

// tracker puts together what edges report.
type tracker struct {
	grace  time.Duration // how long a user who left is online still
	lost   time.Duration // after which silence a node is gone
	settle time.Duration // how long after a start those who were here before are online still
	every  time.Duration // after which it is stored again that a user is here
	now    func() time.Time

	// now is asked under the lock, so that times are in the order of what happened.
	mu       sync.Mutex
	nodes    map[string]*node
	users    map[string]*user
	online   int                 // users with a stay
	leaving  map[string]struct{} // users with a stay in its grace
	departed map[string]mark     // users who left, and when, as long as it is not stored
	dues     []due               // when it is to be stored that users are here, in that order; some hold no longer
	changed  *queue              // users who may have to be told of
	rooms    rooms
}

// node is one edge's people.
type node struct {
	heard   time.Time
	devices map[device]struct{}
	rooms   map[string]map[string]struct{}
}

type device struct {
	user, id string
	platform authv1.Platform
}

// user is somebody who is connected, or was less than the grace ago, or of whom it is not told yet that they left.
type user struct {
	stays []stay // in the order of their platforms, one for each
	told  seen
	due   time.Time // of the tracker's dues; zero for none
}

// stay is a user's being there by one kind of software. It ends when the grace is over after the last device left.
type stay struct {
	platform authv1.Platform
	devices  int // at all nodes
	leftAt   time.Time
	until    time.Time // it lasts until then whoever left, for it was there before a restart; else zero
}

func newTracker(cfg Config, now func() time.Time) *tracker {
	return &tracker{
		grace: cfg.Grace, lost: cfg.Lost, settle: cfg.Settle, every: cfg.Remember, now: now, nodes: make(map[string]*node), users: make(map[string]*user),
		leaving: make(map[string]struct{}), departed: make(map[string]mark), changed: newQueue(), rooms: newRooms(),
	}
}

// report takes a node's report.
func (t *tracker) report(r *edgev1.NodeReport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if r.GetGone() {
		t.drop(r.GetNode(), now)
		return
	}
	n := t.nodes[r.GetNode()]
	if n == nil {
		n = &node{devices: make(map[device]struct{}), rooms: make(map[string]map[string]struct{})}
		t.nodes[r.GetNode()] = n
	}
	n.heard = now
	if r.GetComplete() {
		t.complete(n, r, now)
		return
	}
	for _, d := range r.GetDevices() {
		t.device(n, deviceOf(d), !d.GetOffline(), now)
	}
	for _, room := range r.GetRooms() {
		for _, id := range room.GetEntered() {
			t.rooms.move(n, room.GetConversationId(), id, true)
		}
		for _, id := range room.GetLeft() {
			t.rooms.move(n, room.GetConversationId(), id, false)
		}
	}
}

func deviceOf(d *edgev1.DeviceReport) device {
	return device{user: d.GetUserId(), id: d.GetDeviceId(), platform: d.GetPlatform()}
}

// complete makes a node's people those of a report: what was lost on the way is made good. The lock is held.
func (t *tracker) complete(n *node, r *edgev1.NodeReport, now time.Time) {
	devices := make(map[device]struct{}, len(r.GetDevices()))
	for _, d := range r.GetDevices() {
		if !d.GetOffline() {
			devices[deviceOf(d)] = struct{}{}
			t.device(n, deviceOf(d), true, now)
		}
	}
	for d := range n.devices {
		if _, ok := devices[d]; !ok {
			t.device(n, d, false, now)
		}
	}
	t.rooms.complete(n, r.GetRooms())
}

// device notes that a device came or went. The lock is held.
func (t *tracker) device(n *node, d device, here bool, now time.Time) {
	if _, was := n.devices[d]; was == here {
		return
	}
	u := t.users[d.user]
	if here {
		n.devices[d] = struct{}{}
		if u == nil {
			u = &user{}
			t.users[d.user] = u
		}
		i, ok := u.stay(d.platform)
		if !ok {
			if len(u.stays) == 0 {
				t.online++
			}
			u.stays = slices.Insert(u.stays, i, stay{platform: d.platform})
			t.changed.put(d.user)
		}
		u.stays[i].devices++
		u.stays[i].until = time.Time{}
		if u.due.IsZero() {
			t.keep(d.user, u, now)
		}
		return
	}
	delete(n.devices, d)
	i, _ := u.stay(d.platform) // there, as long as a device is
	if u.stays[i].devices--; u.stays[i].devices == 0 {
		u.stays[i].leftAt = now
		t.leaving[d.user] = struct{}{}
	}
}

// stay returns where a user's stay of a platform is, or would be.
func (u *user) stay(p authv1.Platform) (int, bool) {
	return slices.BinarySearchFunc(u.stays, p, func(s stay, p authv1.Platform) int { return cmp.Compare(s.platform, p) })
}

// drop takes a node and its people away. The lock is held.
func (t *tracker) drop(name string, now time.Time) {
	if n := t.nodes[name]; n != nil {
		t.complete(n, &edgev1.NodeReport{}, now)
		delete(t.nodes, name)
	}
}

// expire drops nodes that were not heard of and ends the stays whose grace is over. It returns of how many users it is
// forgotten when they left.
func (t *tracker) expire() (lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for name, n := range t.nodes {
		switch {
		case now.Before(n.heard): // the clock went back
			n.heard = now
		case now.Sub(n.heard) >= t.lost:
			t.drop(name, now)
		}
	}
	for id := range t.leaving {
		if !t.end(id, now) {
			lost++
		}
	}
	return lost
}

// end ends the stays of a user whose grace is over. It is false when it is forgotten when the user left. The lock is held.
func (t *tracker) end(id string, now time.Time) bool {
	u := t.users[id]
	waits, before := false, len(u.stays)
	var last time.Time
	for i := range u.stays {
		if s := &u.stays[i]; s.devices == 0 && now.Before(s.leftAt) { // the clock went back
			s.leftAt = now
		}
		if s := &u.stays[i]; s.until.Sub(now) > t.settle { // likewise
			s.until = now.Add(t.settle)
		}
	}
	u.stays = slices.DeleteFunc(u.stays, func(s stay) bool {
		over := s.devices == 0 && now.Sub(s.leftAt) >= t.grace && !now.Before(s.until)
		if over {
			last = later(last, s.leftAt)
		}
		waits = waits || (s.devices == 0 && !over)
		return over
	})
	if len(u.stays) < before {
		t.changed.put(id)
	}
	if !waits {
		delete(t.leaving, id)
	}
	if len(u.stays) > 0 {
		return true
	}
	t.online--
	u.due = time.Time{}
	if _, known := t.departed[id]; !known && len(t.departed) >= maxDeparted {
		return false
	}
	t.departed[id] = mark{at: last.UTC()}
	return true
}

// mark has a user told of although whether they are there did not change.
func (t *tracker) mark(ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.changed.force(id)
	}
}

// take returns up to limit users to be told of, those first who waited longest.
func (t *tracker) take(limit int) (ids []string, seens map[string]seen) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seens = make(map[string]seen)
	for len(ids) < limit {
		id, forced, ok := t.changed.pop()
		if !ok {
			break
		}
		s, told := t.see(id), seen{}
		if u := t.users[id]; u != nil {
			told, u.told = u.told, s
			if !s.online {
				delete(t.users, id)
			}
		}
		if forced || !s.equal(told) {
			ids, seens[id] = append(ids, id), s
		}
	}
	return ids, seens
}

// untold has users told of that were taken and could not be, before all others.
func (t *tracker) untold(ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed.putBack(ids)
}

// see returns whether a user is there. The lock is held.
func (t *tracker) see(id string) seen {
	s := seen{leftAt: t.departed[id].at}
	if u := t.users[id]; u != nil {
		s.online = len(u.stays) > 0
		for _, stay := range u.stays {
			if stay.platform != authv1.Platform_PLATFORM_UNSPECIFIED {
				s.platforms = append(s.platforms, stay.platform)
			}
		}
	}
	return s
}

// seen is see for many.
func (t *tracker) seen(ids []string) map[string]seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]seen, len(ids))
	for _, id := range ids {
		out[id] = t.see(id)
	}
	return out
}

// totals returns how many nodes and users there are, and how many users wait to be told of.
func (t *tracker) totals() (nodes, online, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.nodes), t.online, t.changed.len()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
