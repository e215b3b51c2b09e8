package app_test

import (
	"context"
	"testing"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/testkit"
)

// follower is somebody who follows people.
type follower struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // of its stream
	clients clients
	session string
	told    chan *presencev1.Presence
}

func follow(t *testing.T, s *testkit.Server, p testkit.Person) *follower {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	f := &follower{t: t, ctx: ctx, clients: as(s, binary, p.Token), told: make(chan *presencev1.Presence, 100)}
	stream, err := f.clients.edge.Connect(ctx, &edgev1.ConnectRequest{})
	if err != nil || !stream.Receive() {
		t.Fatalf("connect: %v, %v", err, stream.Err())
	}
	f.session = stream.Msg().GetFrame().GetSignedIn().GetSessionId()
	go func() {
		defer close(f.told)
		for stream.Receive() {
			for _, e := range stream.Msg().GetFrame().GetPush().GetEvents() {
				if e.GetPresence() != nil {
					f.told <- e.GetPresence()
				}
			}
		}
	}()
	t.Cleanup(func() { _ = stream.Close() })
	return f
}

// watch follows a user and returns how they are.
func (f *follower) watch(user string) *presencev1.Presence {
	f.t.Helper()
	res, err := f.clients.edge.Send(f.ctx, &edgev1.SendRequest{SessionId: f.session, Frame: &edgev1.ClientFrame{
		Id: 1, Kind: &edgev1.ClientFrame_Watch{Watch: &edgev1.Watch{UserIds: []string{user}}},
	}})
	if err != nil || len(res.GetFrame().GetWatching().GetPresences()) != 1 {
		f.t.Fatalf("watch: %v, %v", res, err)
	}
	return res.GetFrame().GetWatching().GetPresences()[0]
}

// until waits until something is told that is wanted, and holds what comes to the order of turns.
func (f *follower) until(what string, from *presencev1.Presence, wanted func(p *presencev1.Presence) bool) *presencev1.Presence {
	f.t.Helper()
	for p := range f.told {
		if p.GetTurn() < from.GetTurn() {
			f.t.Errorf("%v came after %v", p, from)
		}
		if from = p; wanted(p) {
			return p
		}
	}
	f.t.Fatalf("the stream ended before %s", what)
	return nil
}

// TestWhoHidesIsHidden lets two people follow each other, of whom first one hides and then the other.
func TestWhoHidesIsHidden(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ann, bob := s.User(t, "ann"), s.User(t, "bob")
	watcher := follow(t, s, ann)
	isOnline := func(p *presencev1.Presence) bool { return p.GetOnline() && !p.GetHidden() }
	privacy := func(p testkit.Person, online presencev1.Audience) {
		t.Helper()
		_, err := testkit.Client(s, binary, p.Token, presencev1connect.NewPresenceServiceClient).
			UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{Privacy: &presencev1.Privacy{Online: online}})
		if err != nil {
			t.Fatal(err)
		}
	}
	const everyone, nobody = presencev1.Audience_AUDIENCE_EVERYONE, presencev1.Audience_AUDIENCE_NOBODY

	last := watcher.watch(bob.User.GetId())
	if last.GetHidden() || last.GetOnline() || last.GetTurn() == 0 {
		t.Errorf("bob is %v before he came", last)
	}
	follow(t, s, bob)
	last = watcher.until("bob came", last, isOnline)
	privacy(bob, nobody)
	if p := watcher.watch(bob.User.GetId()); !p.GetHidden() {
		t.Errorf("an answer of who hides is %v", p)
	}
	privacy(bob, everyone)
	last = watcher.until("bob shows himself again", last, isOnline)
	privacy(bob, nobody)
	last = watcher.until("bob hides", last, (*presencev1.Presence).GetHidden)
	privacy(bob, everyone)
	last = watcher.until("bob shows himself once more", last, isOnline)
	privacy(ann, nobody)
	last = watcher.until("ann hides, and so sees nobody", last, (*presencev1.Presence).GetHidden)
	privacy(ann, everyone)
	watcher.until("ann shows herself again", last, isOnline)
}
