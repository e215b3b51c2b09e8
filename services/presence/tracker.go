package presence

import (
	"maps"
	"slices"
	"sync"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// tracker puts together what edges report.
type tracker struct {
	grace time.Duration // how long a user who left is online still
	lost  time.Duration // after which silence a node is gone

	mu    sync.Mutex
	nodes map[string]*node
	users map[string]*user
	rooms map[string]map[string]int // nodes at which each user is in each room

	left    map[string]time.Time // users without a device, since when
	changed *queue               // users who may have to be told of
	counted *queue               // rooms whose number may have to be told
	told    map[string]int       // number of people last told of each room
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

// user is somebody who is connected, or was less than the grace ago.
type user struct {
	devices map[authv1.Platform]int
	told    seen
}

func newTracker(grace, lost time.Duration) *tracker {
	return &tracker{
		grace: grace, lost: lost, nodes: make(map[string]*node), users: make(map[string]*user),
		rooms: make(map[string]map[string]int), left: make(map[string]time.Time), changed: newQueue(), counted: newQueue(),
		told: make(map[string]int),
	}
}

// report takes a node's report.
func (t *tracker) report(r *edgev1.NodeReport, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
		t.device(n, device{d.GetUserId(), d.GetDeviceId(), d.GetPlatform()}, !d.GetOffline(), now)
	}
	for _, room := range r.GetRooms() {
		for _, id := range room.GetEntered() {
			t.person(n, room.GetConversationId(), id, true)
		}
		for _, id := range room.GetLeft() {
			t.person(n, room.GetConversationId(), id, false)
		}
	}
}

// complete makes a node's people those of a report. The lock is held.
func (t *tracker) complete(n *node, r *edgev1.NodeReport, now time.Time) {
	devices := make(map[device]struct{}, len(r.GetDevices()))
	for _, d := range r.GetDevices() {
		devices[device{d.GetUserId(), d.GetDeviceId(), d.GetPlatform()}] = struct{}{}
	}
	for d := range devices {
		t.device(n, d, true, now)
	}
	for _, d := range slices.Collect(maps.Keys(n.devices)) {
		if _, ok := devices[d]; !ok {
			t.device(n, d, false, now)
		}
	}
	rooms := make(map[string]map[string]struct{}, len(r.GetRooms()))
	for _, room := range r.GetRooms() {
		people := make(map[string]struct{}, len(room.GetEntered()))
		for _, id := range room.GetEntered() {
			people[id] = struct{}{}
			t.person(n, room.GetConversationId(), id, true)
		}
		rooms[room.GetConversationId()] = people
	}
	for room, people := range n.rooms {
		for _, id := range slices.Collect(maps.Keys(people)) {
			if _, ok := rooms[room][id]; !ok {
				t.person(n, room, id, false)
			}
		}
	}
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
			u = &user{devices: make(map[authv1.Platform]int, 1)}
			t.users[d.user] = u
		}
		u.devices[d.platform]++
		delete(t.left, d.user)
		t.changed.put(d.user)
		return
	}
	delete(n.devices, d)
	if u == nil {
		return
	}
	if u.devices[d.platform]--; u.devices[d.platform] <= 0 {
		delete(u.devices, d.platform)
	}
	if len(u.devices) == 0 {
		t.left[d.user] = now // told when the grace is over
		return
	}
	t.changed.put(d.user)
}

// person notes that a user came to a room or left it. The lock is held.
func (t *tracker) person(n *node, room, id string, here bool) {
	if _, was := n.rooms[room][id]; was == here {
		return
	}
	t.counted.put(room)
	if here {
		if n.rooms[room] == nil {
			n.rooms[room] = make(map[string]struct{}, 1)
		}
		n.rooms[room][id] = struct{}{}
		if t.rooms[room] == nil {
			t.rooms[room] = make(map[string]int, 1)
		}
		t.rooms[room][id]++
		return
	}
	delete(n.rooms[room], id)
	if len(n.rooms[room]) == 0 {
		delete(n.rooms, room)
	}
	if t.rooms[room][id]--; t.rooms[room][id] <= 0 {
		delete(t.rooms[room], id)
		if len(t.rooms[room]) == 0 {
			delete(t.rooms, room)
		}
	}
}

// drop takes a node and its people away. The lock is held.
func (t *tracker) drop(name string, now time.Time) {
	n := t.nodes[name]
	if n == nil {
		return
	}
	t.complete(n, &edgev1.NodeReport{}, now)
	delete(t.nodes, name)
}

// expire drops nodes that were not heard of, and returns the users whose grace is over, with when they left.
func (t *tracker) expire(now time.Time) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, n := range t.nodes {
		if now.Sub(n.heard) > t.lost {
			t.drop(name, now)
		}
	}
	gone := make(map[string]time.Time)
	for id, since := range t.left {
		if now.Sub(since) < t.grace && !now.Before(since) {
			continue
		}
		delete(t.left, id)
		gone[id] = since
		t.changed.put(id)
	}
	return gone
}

// mark has a user told of although whether they are there did not change.
func (t *tracker) mark(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed.force(id)
}

// take returns up to limit users to be told of.
func (t *tracker) take(limit int) map[string]seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]seen)
	for len(out) < limit {
		id, forced, ok := t.changed.pop()
		if !ok {
			break
		}
		s := t.see(id)
		u := t.users[id]
		var told seen
		if u != nil {
			told = u.told
			u.told = s
			if !s.online {
				delete(t.users, id)
			}
		}
		if forced || !s.equal(told) {
			out[id] = s
		}
	}
	return out
}

// counts returns up to limit rooms whose number changed.
func (t *tracker) counts(limit int) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int)
	for len(out) < limit {
		room, _, ok := t.counted.pop()
		if !ok {
			break
		}
		n := len(t.rooms[room])
		if n == t.told[room] {
			continue
		}
		out[room] = n
		if t.told[room] = n; n == 0 {
			delete(t.told, room)
		}
	}
	return out
}

// untold has rooms told again that could not be.
func (t *tracker) untold(rooms map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for room := range rooms {
		t.told[room] = -1
		t.counted.put(room)
	}
}

// see returns whether a user is there. The lock is held.
func (t *tracker) see(id string) seen {
	u := t.users[id]
	if u == nil {
		return seen{}
	}
	_, leaving := t.left[id]
	s := seen{online: len(u.devices) > 0 || leaving}
	if leaving {
		s.platforms = u.told.platforms
		return s
	}
	s.platforms = slices.Sorted(maps.Keys(u.devices))
	return s
}

// everyone returns all who are online now, and those whose grace is not over, with when they were last here.
func (t *tracker) everyone(now time.Time) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]time.Time, len(t.users))
	for id := range t.users {
		all[id] = now
	}
	maps.Copy(all, t.left)
	return all
}

// seen is see for others.
func (t *tracker) seen(id string) seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.see(id)
}

// people returns how many are in a room.
func (t *tracker) people(room string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms[room])
}

// online returns how many users are there.
func (t *tracker) online() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.users)
}

// queue holds names in the order in which they came, each once.
type queue struct {
	names  []string
	forced map[string]bool // of the names in it
}

func newQueue() *queue { return &queue{forced: make(map[string]bool)} }

func (q *queue) put(name string) {
	if _, ok := q.forced[name]; !ok {
		q.forced[name] = false
		q.names = append(q.names, name)
	}
}

func (q *queue) force(name string) {
	q.put(name)
	q.forced[name] = true
}

func (q *queue) pop() (name string, forced, ok bool) {
	if len(q.names) == 0 {
		q.names = nil
		return "", false, false
	}
	name = q.names[0]
	q.names = q.names[1:]
	forced = q.forced[name]
	delete(q.forced, name)
	return name, forced, true
}
