package presence

import edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"

// rooms counts the people in conversations, each once, at however many nodes they are. The tracker's lock guards it.
type rooms struct {
	people  map[string]map[string]int // nodes at which each user is in each conversation
	changed *queue                    // conversations whose number may have to be told
	told    map[string]int            // number that was told last; not there for 0
}

func newRooms() rooms {
	return rooms{people: make(map[string]map[string]int), changed: newQueue(), told: make(map[string]int)}
}

// move notes that a user came to a conversation at a node, or left it.
func (r *rooms) move(n *node, room, user string, here bool) {
	if _, was := n.rooms[room][user]; was == here {
		return
	}
	r.changed.put(room)
	if here {
		if n.rooms[room] == nil {
			n.rooms[room] = make(map[string]struct{}, 1)
		}
		n.rooms[room][user] = struct{}{}
		if r.people[room] == nil {
			r.people[room] = make(map[string]int, 1)
		}
		r.people[room][user]++
		return
	}
	if delete(n.rooms[room], user); len(n.rooms[room]) == 0 {
		delete(n.rooms, room)
	}
	if r.people[room][user]--; r.people[room][user] > 0 {
		return
	}
	if delete(r.people[room], user); len(r.people[room]) == 0 {
		delete(r.people, room)
	}
}

// complete makes the people at a node those of a complete report.
func (r *rooms) complete(n *node, reports []*edgev1.RoomReport) {
	all := make(map[string]map[string]struct{}, len(reports))
	for _, report := range reports {
		room := report.GetConversationId()
		if all[room] == nil {
			all[room] = make(map[string]struct{}, len(report.GetEntered()))
		}
		for _, user := range report.GetEntered() {
			all[room][user] = struct{}{}
			r.move(n, room, user, true)
		}
	}
	for room, users := range n.rooms {
		for user := range users {
			if _, ok := all[room][user]; !ok {
				r.move(n, room, user, false)
			}
		}
	}
}

// counts returns up to limit conversations whose number changed since it was told, those first that waited longest.
func (t *tracker) counts(limit int) (ids []string, counts map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts = make(map[string]int)
	for r := &t.rooms; len(ids) < limit; {
		room, _, ok := r.changed.pop()
		if !ok {
			break
		}
		n := len(r.people[room])
		if n == r.told[room] {
			continue
		}
		ids, counts[room] = append(ids, room), n
		if r.told[room] = n; n == 0 {
			delete(r.told, room)
		}
	}
	return ids, counts
}

// uncounted has conversations told again that could not be, before all others.
func (t *tracker) uncounted(rooms []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rooms.changed.putBack(rooms)
	for _, room := range rooms {
		t.rooms.told[room] = -1
	}
}

// people returns how many are in each of some conversations.
func (t *tracker) people(rooms []string) []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]int, len(rooms))
	for i, room := range rooms {
		out[i] = len(t.rooms.people[room])
	}
	return out
}
