package presence_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	unset    = presencev1.Audience_AUDIENCE_UNSPECIFIED
	everyone = presencev1.Audience_AUDIENCE_EVERYONE
	contacts = presencev1.Audience_AUDIENCE_CONTACTS
	nobody   = presencev1.Audience_AUDIENCE_NOBODY
)

func (s *server) setStatus(user string, status *presencev1.Status) *presencev1.Presence {
	s.t.Helper()
	res, err := s.as(user).SetStatus(s.t.Context(), &presencev1.SetStatusRequest{Status: status})
	s.must(err)
	return res.GetPresence()
}

// TestWhoSeesWhat holds every audience to every kind of viewer, of people who are here and of people who were.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	viewers := map[string]struct {
		client presencev1connect.PresenceServiceClient
		// Audiences among whom the viewer is, for both.
		online, lastSeen []presencev1.Audience
	}{
		"shy stranger":            {s.as("shy-stranger"), nil, nil},
		"contact":                 {s.as("contact"), []presencev1.Audience{everyone, contacts}, []presencev1.Audience{everyone, contacts}},
		"stranger":                {s.as("stranger"), []presencev1.Audience{everyone}, []presencev1.Audience{everyone}},
		"guest":                   {s.withRole("guest", authv1.Role_ROLE_GUEST), []presencev1.Audience{everyone}, []presencev1.Audience{everyone}},
		"moderator":               {s.withRole("mod", authv1.Role_ROLE_MODERATOR), []presencev1.Audience{everyone}, []presencev1.Audience{everyone}},
		"administrator":           {s.withRole("admin", authv1.Role_ROLE_ADMIN), []presencev1.Audience{everyone}, []presencev1.Audience{everyone}},
		"who shows contacts only": {s.as("shy"), []presencev1.Audience{everyone, contacts}, []presencev1.Audience{everyone, contacts}},
		"who hides":               {s.as("hider"), nil, nil},
		"who hides when seen":     {s.as("half-hider"), []presencev1.Audience{everyone, contacts}, nil},
		"who hides whether here":  {s.as("other-half"), nil, []presencev1.Audience{everyone, contacts}},
	}
	s.setPrivacy("shy", contacts, contacts)
	s.setPrivacy("shy-stranger", contacts, contacts)
	s.setPrivacy("hider", nobody, nobody)
	s.setPrivacy("half-hider", everyone, nobody)
	s.setPrivacy("other-half", nobody, everyone)
	audiences := []presencev1.Audience{everyone, contacts, nobody}
	seenAt := s.clock.now().Truncate(time.Minute)
	subject := func(online, lastSeen presencev1.Audience, here bool) string {
		return fmt.Sprintf("%v-%v-%v", online, lastSeen, here)
	}
	all := func(do func(user string, online, lastSeen presencev1.Audience, here bool)) {
		for _, online := range audiences {
			for _, lastSeen := range audiences {
				for _, here := range []bool{true, false} {
					do(subject(online, lastSeen, here), online, lastSeen, here)
				}
			}
		}
	}
	all(func(user string, online, lastSeen presencev1.Audience, _ bool) {
		s.setPrivacy(user, online, lastSeen)
		for _, contact := range []string{"contact", "shy", "hider", "half-hider", "other-half"} {
			s.book.introduce(user, contact)
		}
	})
	s.settle("n1") // what changes together with privacy is not told but asked for
	all(func(user string, _, _ presencev1.Audience, here bool) {
		s.setStatus(user, &presencev1.Status{Text: "about " + user})
		s.come("n1", user, ios)
		if !here {
			s.leave("n1", user, ios)
		}
	})
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	check := func(name string, p *presencev1.Presence, user string, here, online, lastSeen bool) {
		t.Helper()
		if p.GetHidden() == online {
			t.Errorf("%s asks for %s: hidden is %v", name, user, p.GetHidden())
		}
		if got := p.GetOnline() || len(p.GetPlatforms()) > 0; got != (online && here) {
			t.Errorf("%s asks for %s: got %v", name, user, p)
		}
		if got := p.GetStatus() != nil; got != online {
			t.Errorf("%s asks for %s: status %v", name, user, p.GetStatus())
		}
		// When somebody was last seen is for those only who see whether they are online.
		if got, want := p.GetLastSeenAt() != nil, online && lastSeen && !here; got != want {
			t.Errorf("%s asks for %s: last seen %v", name, user, p.GetLastSeenAt())
		} else if got && !p.GetLastSeenAt().AsTime().Equal(seenAt) {
			t.Errorf("%s asks for %s: last seen %v, want %v", name, user, p.GetLastSeenAt().AsTime(), seenAt)
		}
	}
	all(func(user string, online, lastSeen presencev1.Audience, here bool) {
		for name, v := range viewers {
			check(name, s.lookAs(v.client, user), user, here, slices.Contains(v.online, online), slices.Contains(v.lastSeen, lastSeen))
		}
		check("the same", s.look(user, user), user, here, true, true)
		if online == nobody {
			s.assertTold(user, 0)
		} else {
			check("who follows all", s.last(user), user, here, true, false)
		}
	})
}

// TestNobodySeesWhatTheyHide: between any two people, one sees of the other what the other sees of them, and no more.
func TestNobodySeesWhatTheyHide(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	audiences := []presencev1.Audience{everyone, contacts, nobody}
	var users []string
	for _, online := range audiences {
		for _, lastSeen := range audiences {
			for i := range 2 {
				user := fmt.Sprintf("%v-%v-%d", online, lastSeen, i)
				s.setPrivacy(user, online, lastSeen)
				s.come("n1", user, web)
				s.leave("n1", user, web)
				users = append(users, user)
			}
		}
	}
	for i, one := range users {
		for _, other := range users[i+1:] {
			if (i+len(other))%2 == 0 {
				s.book.introduce(one, other)
			}
		}
	}
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	sees := make(map[[2]string]string)
	for _, viewer := range users {
		res, err := s.as(viewer).BatchGetPresence(t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: users})
		s.must(err)
		for _, p := range res.GetPresences() {
			sees[[2]string{viewer, p.GetUserId()}] = fmt.Sprint(p.GetHidden(), p.GetLastSeenAt() != nil)
		}
	}
	kinds := make(map[string]int)
	for pair, what := range sees {
		if back := sees[[2]string{pair[1], pair[0]}]; back != what {
			t.Errorf("%s sees of %s %v, and the other way %v", pair[0], pair[1], what, back)
		}
		kinds[what]++
	}
	if len(kinds) != 3 { // hidden, without last seen, and all
		t.Errorf("pairs see %v", kinds)
	}
}

// TestUnknownUsersAreHidden: who hides cannot be told from who does not exist.
func TestUnknownUsersAreHidden(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.setPrivacy("hider", nobody, nobody)
	s.come("n1", "hider", web)
	s.settle("n1")
	ghost, hider := s.look("bob", "ghost"), s.look("bob", "hider")
	ghost.UserId = "hider"
	if ghost.String() != hider.String() || !ghost.GetHidden() {
		t.Errorf("a ghost is %v, and one who hides %v", ghost, hider)
	}
	// One who hides sees nobody, so that nobody has to be asked for.
	asked := s.users.asked.Load()
	if p := s.look("hider", "nobody-knows"); !p.GetHidden() || s.users.asked.Load() != asked {
		t.Errorf("got %v", p)
	}
	if p := s.look("hider", "hider"); p.GetHidden() || !p.GetOnline() {
		t.Errorf("one who hides sees themselves as %v", p)
	}
}

// TestNeighboursAreAway: rather nothing than what is not theirs to see.
func TestNeighboursAreAway(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.setPrivacy("ann", contacts, everyone)
	s.book.introduce("bob", "ann")
	s.users.down.Store(true)
	s.book.down.Store(true)
	for _, user := range []string{"ann", "ben"} {
		_, err := s.as("bob").BatchGetPresence(t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: []string{user}})
		if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
			t.Errorf("asked for %s: %v", user, err)
		}
	}
	s.setStatus("bob", &presencev1.Status{Text: "my own needs nobody"})
}

func TestPrivacy(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	ann := s.as("ann")
	get := func() string {
		t.Helper()
		res, err := ann.GetPrivacy(t.Context(), &presencev1.GetPrivacyRequest{})
		s.must(err)
		return fmt.Sprint(res.GetPrivacy().GetOnline(), " ", res.GetPrivacy().GetLastSeen())
	}
	if got := get(); got != fmt.Sprint(everyone, " ", everyone) {
		t.Errorf("at first it is %v", got)
	}
	for _, step := range []struct {
		online, lastSeen         presencev1.Audience
		mask                     []string
		wantOnline, wantLastSeen presencev1.Audience
	}{
		{contacts, nobody, nil, contacts, nobody},
		{nobody, everyone, []string{"online"}, nobody, nobody},
		{everyone, contacts, []string{"last_seen"}, nobody, contacts},
		{everyone, everyone, []string{"last_seen", "online", "online"}, everyone, everyone},
		{nobody, contacts, []string{}, nobody, contacts},
		{unset, unset, []string{"online"}, everyone, contacts},
		{nobody, unset, nil, nobody, everyone},
	} {
		res, err := ann.UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{
			Privacy:    &presencev1.Privacy{Online: step.online, LastSeen: step.lastSeen},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: step.mask},
		})
		s.must(err)
		want := fmt.Sprint(step.wantOnline, " ", step.wantLastSeen)
		if got := fmt.Sprint(res.GetPrivacy().GetOnline(), " ", res.GetPrivacy().GetLastSeen()); got != want || get() != want {
			t.Errorf("%+v: got %v, then %v", step, got, get())
		}
	}
	for _, path := range []string{"status", "", "privacy.online", "lastSeen"} {
		_, err := ann.UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{
			Privacy: &presencev1.Privacy{Online: contacts}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"online", path}},
		})
		if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("path %q: %v", path, err)
		}
	}
	if got := get(); got != fmt.Sprint(nobody, " ", everyone) {
		t.Errorf("a refused change made it %v", got)
	}
}

// TestChangesOfPrivacyAtOnce: of two devices that each change another half, neither undoes the other's.
func TestChangesOfPrivacyAtOnce(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	ann := s.as("ann")
	for i := range 30 {
		to := []presencev1.Audience{contacts, nobody, everyone}[i%3]
		var both sync.WaitGroup
		for _, path := range []string{"online", "last_seen"} {
			both.Go(func() {
				if _, err := ann.UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{
					Privacy:    &presencev1.Privacy{Online: to, LastSeen: to},
					UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}},
				}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		res, err := ann.GetPrivacy(t.Context(), &presencev1.GetPrivacyRequest{})
		s.must(err)
		if res.GetPrivacy().GetOnline() != to || res.GetPrivacy().GetLastSeen() != to {
			t.Errorf("got %v, want %v", res.GetPrivacy(), to)
		}
	}
}

// TestManyChangesOfPrivacy are told a thousand at a time as well.
func TestManyChangesOfPrivacy(t *testing.T) {
	t.Parallel()
	const many = 1100
	s := newWorld(t).boot(quick())
	s.bus.refuse.Store(true)
	var all sync.WaitGroup
	for from := range 8 {
		all.Go(func() {
			for i := from; i < many; i += 8 {
				s.setPrivacy(fmt.Sprint("user-", i), contacts, contacts)
			}
		})
	}
	all.Wait()
	s.bus.refuse.Store(false)
	s.eventually("all are told", func() bool { return len(s.privacyTold()) >= many })
	told := make(map[string]bool)
	for _, e := range s.toldAll() {
		if len(e.GetPrivacyChanged()) > 1000 {
			t.Errorf("an event of %d users", len(e.GetPrivacyChanged()))
		}
		for _, user := range e.GetPrivacyChanged() {
			if told[user] {
				t.Errorf("%s was told twice", user)
			}
			told[user] = true
		}
	}
}
