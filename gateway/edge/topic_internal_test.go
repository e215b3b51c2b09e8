package edge

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// tape is a link that takes everything, and remembers what came when.
type tape struct {
	mu     sync.Mutex
	frames []*edgev1.ServerFrame
	at     []time.Time
}

func (l *tape) form() form      { return formBare }
func (l *tape) close()          {}
func (l *tape) bid()            {}
func (l *tape) address() string { return "" }

func (l *tape) try(b []byte) (int, error) {
	f, err := decode(b)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames, l.at = append(l.frames, f), append(l.at, time.Now())
	return len(b), nil
}

func (l *tape) write(bufs net.Buffers, _ time.Duration) error {
	for _, b := range bufs {
		if _, err := l.try(b); err != nil {
			return err
		}
	}
	return nil
}

// events returns all that was pushed, and when.
func (l *tape) events() (all []*edgev1.Event, at []time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.frames {
		for _, e := range f.GetPush().GetEvents() {
			all, at = append(all, e), append(at, l.at[i])
		}
	}
	return all, at
}

// gathered lets so many users, each with one session, hear a conversation.
func gathered(e *Edge, conversation string, users int) (*topic, []*tape) {
	var t *topic
	tapes := make([]*tape, users)
	for i := range tapes {
		tapes[i] = &tape{}
		s := bareSession(e, tapes[i])
		s.owner = authn.Principal{UserID: fmt.Sprint("user-", i)}
		s.edge.mu.Lock()
		s.edge.sessions[fmt.Sprint("s", i)] = s
		s.edge.mu.Unlock()
		t, _ = e.hub.join(conversation, s)
	}
	return t, tapes
}

func said(conversation string, seq int64) *chatv1.ConversationEvents {
	return &chatv1.ConversationEvents{ConversationId: conversation, Events: []*chatv1.Event{{
		ConversationId: conversation, Kind: &chatv1.Event_Message{Message: &chatv1.Message{Epoch: 1, Seq: seq}},
	}}}
}

func types(conversation, user string) *edgev1.TypingTold {
	return &edgev1.TypingTold{Typing: &edgev1.TypingUser{ConversationId: conversation, UserId: user}}
}

// TestBusyRoomsAreMerged: many messages cost few frames, and none is lost, late or in another order.
func TestBusyRoomsAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people, messages, every = 40, 1000, time.Millisecond
		e := bareEdge(t, Config{})
		e.hub.start(&e.running)
		_, tapes := gathered(e, "group", people)
		start := time.Now()
		for seq := range int64(messages) {
			if err := e.onConversationEvents(t.Context(), "", said("group", seq+1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(every)
		}
		time.Sleep(mergeMost)
		synctest.Wait()
		for i, l := range tapes {
			events, at := l.events()
			if len(events) != messages || len(l.frames) > messages/10 {
				t.Fatalf("user %d got %d messages in %d frames", i, len(events), len(l.frames))
			}
			for j, event := range events {
				late := at[j].Sub(start.Add(time.Duration(j) * every))
				if seq := event.GetChat().GetMessage().GetSeq(); seq != int64(j+1) || late < 0 || late > mergeMost {
					t.Fatalf("user %d: message %d came as number %d, after %v", i, seq, j+1, late)
				}
			}
		}
	})
}

// TestQuietRoomsDoNotWait: what is said now and then, or to few, is told at once.
func TestQuietRoomsDoNotWait(t *testing.T) {
	for people, every := range map[int]time.Duration{16: time.Millisecond, 40: time.Second} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := bareEdge(t, Config{})
				e.hub.start(&e.running)
				_, tapes := gathered(e, "group", people)
				for seq := range int64(20) {
					if err := e.onConversationEvents(t.Context(), "", said("group", seq+1)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if events, _ := tapes[people-1].events(); len(events) != int(seq)+1 {
						t.Errorf("of %d messages %d came", seq+1, len(events))
					}
					time.Sleep(every)
				}
			})
		})
	}
}

// TestTypingIsMerged: when everybody types at once, each hears it in one frame, with what else happens, and not of their own.
func TestTypingIsMerged(t *testing.T) {
	const people = 40
	e := bareEdge(t, Config{})
	in, tapes := gathered(e, "group", people)
	tell := func(told *edgev1.TypingTold) {
		t.Helper()
		if err := e.onTyping(t.Context(), "", told); err != nil {
			t.Fatal(err)
		}
	}
	for i := range people / 2 {
		tell(types("group", fmt.Sprint("user-", i)))
	}
	if err := e.onConversationEvents(t.Context(), "", said("group", 1)); err != nil {
		t.Fatal(err)
	}
	for i := range people / 2 {
		stopped := types("group", fmt.Sprint("user-", i))
		stopped.Typing.Stopped = true
		tell(stopped)
	}
	in.flush()
	for i, l := range tapes {
		events, _ := l.events()
		others := people / 2
		if i < people/2 {
			others--
		}
		if len(l.frames) != 1 || len(events) != 2*others+1 || events[others].GetChat() == nil {
			t.Fatalf("user %d got %d events in %d frames", i, len(events), len(l.frames))
		}
		for j, event := range events {
			who := event.GetTyping()
			if j != others && (who.GetUserId() == fmt.Sprint("user-", i) || who.GetStopped() != (j > others)) {
				t.Errorf("user %d was told %v in place %d", i, who, j)
			}
		}
	}
	in.flush()
	if len(tapes[0].frames) != 1 {
		t.Error("it is told twice")
	}
}

// TestTypingInCrowds: where too many would hear it nobody does.
func TestTypingInCrowds(t *testing.T) {
	for people, heard := range map[int]int{maxTypingTo: 1, maxTypingTo + 1: 0} {
		e := bareEdge(t, Config{})
		in, tapes := gathered(e, "group", people)
		if err := e.onTyping(t.Context(), "", types("group", "user-0")); err != nil {
			t.Fatal(err)
		}
		in.flush()
		for i, l := range tapes[1:] {
			if events, _ := l.events(); len(events) != heard {
				t.Fatalf("of %d, user %d was told %d times", people, i+1, len(events))
			}
		}
		if events, _ := tapes[0].events(); len(events) != 0 {
			t.Error("who types is told")
		}
	}
}

// TestPushesToEveryoneAreSpread over the time that the back end says, and reach each session once.
func TestPushesToEveryoneAreSpread(t *testing.T) {
	const people = 1000
	for rate, perSecond := range map[int32]int{100: 100, 10: 10, 0: 5000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := bareEdge(t, Config{})
				_, tapes := gathered(e, "group", people)
				start := time.Now()
				notice := &edgev1.Event{Kind: &edgev1.Event_Notice{Notice: &edgev1.Notice{Topic: "hello"}}}
				if err := e.onDelivery(t.Context(), "", &edgev1.Delivery{Everyone: true, Rate: rate, Event: notice}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(people * time.Second / time.Duration(perSecond))
				synctest.Wait()
				counts := make(map[time.Duration]int)
				for i, l := range tapes {
					events, at := l.events()
					if len(events) != 1 || events[0].GetNotice().GetTopic() != "hello" {
						t.Fatalf("user %d was told %v", i, events)
					}
					counts[at[0].Sub(start)]++
				}
				step := max(1, perSecond/20)
				for at, n := range counts {
					if due := time.Duration(step) * time.Second / time.Duration(perSecond); n > step || at%due != 0 {
						t.Errorf("%d were told after %v", n, at)
					}
				}
			})
		})
	}
}
