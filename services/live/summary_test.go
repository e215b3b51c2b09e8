package live_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/live"
)

// talk is what chat tells of a room's conversation.
type talk struct {
	*world

	id  string
	seq int64
}

func (w *world) talkIn(room *livev1.Room) *talk { return &talk{world: w, id: room.GetConversationId()} }

func tell[E proto.Message](t *talk, topic string, event E) {
	t.t.Helper()
	t.must(bus.Publish(t.t.Context(), t.bus, topic, t.id, event))
}

func (t *talk) happened(event *chatv1.Event) {
	t.t.Helper()
	tell(t, "chat.conversation_events", &chatv1.ConversationEvents{ConversationId: t.id, Events: []*chatv1.Event{event}})
}

func (t *talk) message(epoch, seq int64, sentAt time.Time) {
	t.t.Helper()
	t.seq = seq
	t.happened(&chatv1.Event{ConversationId: t.id, Kind: &chatv1.Event_Message{Message: &chatv1.Message{
		ConversationId: t.id, Epoch: epoch, Seq: seq, SentAt: timestamppb.New(sentAt),
	}}})
}

// messages are the next n, written now.
func (t *talk) messages(n int) {
	t.t.Helper()
	for range n {
		t.message(1, t.seq+1, time.Now().Add(time.Duration(t.ahead.Load())))
	}
}

func (t *talk) likes(count int32) {
	t.t.Helper()
	t.happened(&chatv1.Event{ConversationId: t.id, Kind: &chatv1.Event_Likes{Likes: &chatv1.Likes{Count: count}}})
}

func (t *talk) viewers(count int32) {
	t.t.Helper()
	tell(t, "presence.people_changed", &presencev1.PeopleChanged{
		Counts: []*presencev1.PeopleCount{{ConversationId: t.id, Count: count}},
	})
}

// came is a summary without its duration.
type came struct {
	peak            int32
	messages, likes int64
}

func cameTo(b *livev1.Broadcast) came {
	s := b.GetSummary()
	return came{s.GetPeakViewerCount(), s.GetMessageCount(), s.GetLikeCount()}
}

// comesTo waits until a room's broadcast has come to something.
func (n *node) comesTo(roomID string, want came) *livev1.Broadcast {
	n.t.Helper()
	var b *livev1.Broadcast
	n.eventually(fmt.Sprintf("the broadcast has come to %+v", want), func() bool {
		b = n.get(roomID).GetBroadcast()
		return cameTo(b) == want
	})
	return b
}

func (n *node) endBroadcast(owner, roomID string) *livev1.Broadcast {
	n.t.Helper()
	res, err := n.as(owner).EndBroadcast(n.t.Context(), &livev1.EndBroadcastRequest{RoomId: roomID})
	n.must(err)
	return res.GetBroadcast()
}

func TestSummary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room, other := n.open("ann"), n.open("bob")
	here, there := n.talkIn(room), n.talkIn(other)
	key := n.key("ann", room.GetId())

	// What happens before counts for nothing, but for who is there already.
	n.live(other.GetId(), n.key("bob", other.GetId()))
	here.messages(3)
	here.likes(4)
	here.viewers(5)
	there.likes(1)
	there.viewers(7)
	n.comesTo(other.GetId(), came{peak: 7, likes: 1}) // what was told of here is known then, too
	n.live(room.GetId(), key)
	b := n.comesTo(room.GetId(), came{peak: 5})
	if b.GetTitle() != "A room" || b.GetSummary().GetDuration() == nil {
		t.Errorf("on the air: %v", b)
	}

	here.viewers(2)
	here.messages(2)
	here.likes(10)
	here.likes(20)
	there.messages(1)
	n.comesTo(room.GetId(), came{5, 2, 30})
	here.viewers(9)
	here.viewers(1)
	here.message(1, here.seq, time.Now()) // again, as a bus may tell it
	here.message(1, here.seq-1, time.Now())
	here.likes(1)
	n.comesTo(room.GetId(), came{9, 2, 31})
	n.comesTo(other.GetId(), came{7, 1, 1})
	// A title that is changed meanwhile is that of the next one.
	_, err := n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
		RoomId: room.GetId(), Title: "Another title", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
	})
	n.must(err)

	n.ahead.Add(int64(90 * time.Minute))
	ended := n.endBroadcast("ann", room.GetId())
	if got := cameTo(ended); got != (came{9, 2, 31}) || ended.GetTitle() != "A room" || ended.GetViewerCount() != 1 {
		t.Errorf("at the end: %v", ended)
	}
	if d := ended.GetSummary().GetDuration().AsDuration(); d < 90*time.Minute || d > 92*time.Minute {
		t.Errorf("it went for %v", d)
	}
	n.ahead.Add(int64(time.Hour))
	here.messages(1)
	here.likes(1)
	here.viewers(50)
	there.viewers(8)
	n.comesTo(other.GetId(), came{8, 1, 1})
	check := func(when string) {
		t.Helper()
		got := n.get(room.GetId()).GetBroadcast()
		if !proto.Equal(got.GetSummary(), ended.GetSummary()) || got.GetTitle() != "A room" {
			t.Errorf("%s: %v, want %v", when, got, ended)
		}
	}
	check("later")
	n.mu.Lock()
	last := n.events[len(n.events)-1].GetBroadcast()
	n.mu.Unlock()
	if last.GetState() != livev1.BroadcastState_BROADCAST_STATE_ENDED || cameTo(last) != (came{9, 2, 31}) {
		t.Errorf("the bus is told of the end with %v", last)
	}
	n.must(n.end())
	n = w.boot(nil)
	check("after a restart")

	// The next one starts at nothing.
	n.ahead.Add(int64(time.Hour))
	n.live(room.GetId(), key)
	here.messages(1)
	b = n.comesTo(room.GetId(), came{0, 1, 0})
	if b.GetTitle() != "Another title" {
		t.Errorf("the next one is called %q", b.GetTitle())
	}
}

// TestSummaryGoesOn: a restart goes on from what was saved, and what was written meanwhile is made up for.
func TestSummaryGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	here := n.talkIn(room)
	key := n.key("ann", room.GetId())
	n.live(room.GetId(), key)
	here.message(4, 100, time.Now())
	here.message(4, 101, time.Now())
	here.likes(3)
	here.viewers(6)
	n.comesTo(room.GetId(), came{6, 2, 3})
	n.must(n.end())

	n = w.boot(nil)
	n.comesTo(room.GetId(), came{6, 2, 3})
	here.message(4, 101, time.Now())
	here.message(4, 105, time.Now()) // 102 to 104 were told while nobody listened
	here.likes(2)
	n.comesTo(room.GetId(), came{6, 6, 5})
	n.live(room.GetId(), key)
	here.viewers(7)
	here.message(5, 1, time.Now()) // the history began anew
	here.message(5, 3, time.Now())
	n.comesTo(room.GetId(), came{7, 9, 5})
	if got := n.endBroadcast("ann", room.GetId()); cameTo(got) != (came{7, 9, 5}) {
		t.Errorf("at the end: %v", got)
	}
}

// TestSummaryIsSavedOnTheAir: what a killed process leaves in the database is a few seconds old.
func TestSummaryIsSavedOnTheAir(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	here := n.talkIn(room)
	n.live(room.GetId(), n.key("ann", room.GetId()))
	here.viewers(3)
	here.messages(2)
	here.likes(7)
	id := n.comesTo(room.GetId(), came{3, 2, 7}).GetId()
	db := ent.NewClient(ent.Driver(storetest.OpenAt(t, w.storeURL, "live", live.Migrations).ReadDriver()))
	n.eventually("it is saved", func() bool {
		row, err := db.Broadcast.Get(t.Context(), id)
		n.must(err)
		return row.PeakViewers == 3 && row.Messages == 2 && row.Likes == 7
	})
}

func TestListBroadcasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room, other := n.open("ann"), n.open("bob")
	here := n.talkIn(room)
	key := n.key("ann", room.GetId())
	list := func(size int32, token string) *livev1.ListBroadcastsResponse {
		t.Helper()
		res, err := n.as("x").ListBroadcasts(t.Context(), &livev1.ListBroadcastsRequest{RoomId: room.GetId(), PageSize: size, PageToken: token})
		n.must(err)
		return res
	}
	if got := list(0, ""); len(got.GetBroadcasts()) != 0 || got.GetNextPageToken() != "" {
		t.Errorf("before the first: %v", got)
	}
	n.live(other.GetId(), n.key("bob", other.GetId()))
	var want []string // newest first
	for i := range 5 {
		n.live(room.GetId(), key)
		here.likes(int32(i + 1))
		b := n.comesTo(room.GetId(), came{likes: int64(i + 1)})
		want = slices.Insert(want, 0, b.GetId())
		if got := list(0, "").GetBroadcasts()[0]; got.GetId() != b.GetId() || got.GetState() != onAir || cameTo(got) != cameTo(b) {
			t.Errorf("the running one is listed as %v", got)
		}
		if i < 4 {
			n.endBroadcast("ann", room.GetId())
			n.ahead.Add(int64(time.Hour))
		}
	}
	for _, size := range []int32{0, 1, 2, 3, 5, 1000} {
		var got []string
		token := ""
		for range 10 {
			page := list(size, token)
			if size > 0 && len(page.GetBroadcasts()) > int(size) {
				t.Errorf("a page of %d has %d broadcasts", size, len(page.GetBroadcasts()))
			}
			for _, b := range page.GetBroadcasts() {
				got = append(got, b.GetId())
				place := len(got) - 1
				state := ended
				if place == 0 {
					state = onAir
				}
				if b.GetState() != state || b.GetRoomId() != room.GetId() || b.GetTitle() != "A room" || b.GetSummary().GetLikeCount() != int64(5-place) {
					t.Errorf("number %d is %v", place, b)
				}
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v, want %v", size, got, want)
		}
	}
	if _, err := n.as("x").ListBroadcasts(t.Context(), &livev1.ListBroadcastsRequest{RoomId: room.GetId(), PageToken: "nonsense"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("a token of nonsense: %v", err)
	}
	if _, err := n.as("x").ListBroadcasts(t.Context(), &livev1.ListBroadcastsRequest{RoomId: room.GetId(), PageSize: -1}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("a page of -1: %v", err)
	}
	n.must(n.end())
	n = w.boot(nil)
	if got := list(0, "").GetBroadcasts(); len(got) != 5 || got[0].GetState() != interrupted || got[1].GetState() != ended {
		t.Errorf("after a restart: %v", got)
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	totals := func() *livev1.GetTotalsResponse {
		t.Helper()
		res, err := n.control(n.AsService("admin")).GetTotals(t.Context(), &livev1.GetTotalsRequest{})
		n.must(err)
		return res
	}
	if got := totals(); !proto.Equal(got, &livev1.GetTotalsResponse{}) {
		t.Errorf("before the first: %v", got)
	}
	rooms := []*livev1.Room{n.open("ann"), n.open("bob"), n.open("eve"), n.open("mei")}
	for i, room := range rooms {
		n.talkIn(room).viewers(int32(10 * (i + 1)))
	}
	n.live(rooms[0].GetId(), n.key("ann", rooms[0].GetId()))
	e := n.live(rooms[1].GetId(), n.key("bob", rooms[1].GetId()))
	e.leave()
	n.until(rooms[1].GetId(), interrupted)
	_, err := n.push(n.key("eve", rooms[2].GetId())) // which only starts
	n.must(err)
	n.until(rooms[2].GetId(), starting)
	for range 2 {
		defer n.watch("x", rooms[0].GetId()).Close() //nolint:errcheck // a test
	}
	defer n.watch("x", rooms[1].GetId()).Close() //nolint:errcheck // a test
	want := &livev1.GetTotalsResponse{BroadcastCount: 2, ViewerCount: 30, ConnectionCount: 3}
	n.eventually("they are right", func() bool { return proto.Equal(totals(), want) })
}
