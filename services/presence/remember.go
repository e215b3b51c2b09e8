package presence

import (
	"context"
	"slices"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

const (
	// maxRemembered is of how many people one transaction stores when they were last seen, which others wait for.
	maxRemembered = 2000
	// maxPlatforms is how many kinds of software a mark can hold.
	maxPlatforms = 31
)

// mark is what is stored of a user's being here.
type mark struct {
	at time.Time // when they were last seen, UTC
	by uint32    // by which platforms they are here, a bit for each; 0 for those who left
}

// due is when it is to be stored that a user is here.
type due struct {
	user string
	at   time.Time
}

// rememberSome stores when people left, and of those who stayed for long that they are here, many at once. more is false
// when nothing is left to store; what cannot be stored is tried again by the next.
func (s *Service) rememberSome(ctx context.Context) (more bool, err error) {
	marks, dues := s.tracker.marks(maxRemembered)
	if len(marks) == 0 {
		return false, nil
	}
	if err := s.store.setLastSeen(ctx, marks); err != nil {
		s.tracker.notStored(dues)
		return true, err
	}
	s.tracker.stored(marks, dues)
	s.metrics.remembered.Add(float64(len(marks)))
	return len(marks) == maxRemembered, nil
}

// keep has it stored after a while that a user is here. The lock is held.
func (t *tracker) keep(id string, u *user, now time.Time) {
	u.due = now.Add(t.every)
	t.dues = append(t.dues, due{id, u.due})
}

// mark is what is to be stored of a user who is here. The lock is held.
func (u *user) mark(now time.Time) mark {
	m := mark{}
	for _, s := range u.stays {
		if s.devices > 0 {
			s.leftAt = now
		}
		m.at = later(m.at, s.leftAt).UTC()
		if s.platform >= 0 && s.platform < maxPlatforms {
			m.by |= 1 << s.platform
		}
	}
	return m
}

// marks returns up to limit things to store: first of those who left, then of those who are here for long, who are dues.
// Whoever calls it says next what became of it, by stored or notStored.
func (t *tracker) marks(limit int) (marks map[string]mark, dues []due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	marks = make(map[string]mark)
	for id, m := range t.departed {
		if len(marks) == limit {
			return marks, nil
		}
		marks[id] = m
	}
	now := t.now()
	for len(t.dues) > 0 && len(marks) < limit {
		first := t.dues[0]
		u := t.users[first.user]
		holds := u != nil && u.due.Equal(first.at)
		if holds && now.Before(first.at) && first.at.Sub(now) <= t.every { // more than that: the clock went back
			break
		}
		if t.dues = t.dues[1:]; holds {
			marks[first.user], dues = u.mark(now), append(dues, first)
		}
	}
	return marks, dues
}

// stored forgets what marks returned, and has those who are here stored again after a while.
func (t *tracker) stored(marks map[string]mark, dues []due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, m := range marks {
		if m.by != 0 || t.departed[id] == m {
			delete(t.departed, id) // whoever is here left before, if at all
		}
	}
	now := t.now()
	for _, d := range dues {
		if u := t.users[d.user]; u != nil && u.due.Equal(d.at) {
			t.keep(d.user, u, now)
		}
	}
}

// notStored has it tried again to store that users are here.
func (t *tracker) notStored(dues []due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dues = slices.Concat(dues, t.dues)
}

// keepAll has all stored who are here, since nobody will hear of them any longer.
func (t *tracker) keepAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dues = nil
	now := t.now()
	for id, u := range t.users {
		if len(u.stays) > 0 {
			t.departed[id] = u.mark(now)
		}
	}
}

// restore begins with those who were here before a restart. If that is not long ago they are here, as whoever lost their
// connection is, until edges have had the time to report them; if it is, they left. They count as told, so that who is back
// in time is not told of, and who is not, is.
func (t *tracker) restore(marks map[string]mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for id, m := range marks {
		u := &user{}
		for p := range authv1.Platform(maxPlatforms) {
			if m.by&(1<<p) != 0 {
				u.stays = append(u.stays, stay{platform: p, leftAt: m.at, until: now.Add(t.settle)})
			}
		}
		t.users[id] = u
		u.told = t.see(id)
		if now.Sub(m.at) < t.every+2*time.Minute { // times are to the minute, and a start takes some
			t.online++
			t.leaving[id] = struct{}{}
			continue
		}
		u.stays = nil
		t.departed[id] = mark{at: m.at}
		t.changed.put(id)
	}
}
