package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// TestRestart kills the server in mid-broadcast and starts it on the same data: what was acknowledged is there, the
// broadcast waits for its encoder, and people go on without signing in again.
func TestRestart(t *testing.T) {
	s := serve(t, "STOA_LIVE_RECONNECT_WINDOW=60s")
	streamer, guest := s.signUp("streamer"), s.signUp("guest")
	room := streamer.openRoom()
	address := room.issueKey()
	encoder := encoding{}.push(t, address)
	before := room.until(live)
	audience := guest.subscribe(room.conversation, nil)

	var sent []*chatv1.Message
	for i := range 5 {
		message, err := streamer.say(room.conversation, fmt.Sprintf("before-%d", i), fmt.Sprintf("message %d", i))
		must(t, err)
		sent = append(sent, message)
	}
	audience.sees(sent[2])
	read := audience.messages()
	position := &chatv1.Position{Epoch: read[len(read)-1].GetEpoch(), Seq: read[len(read)-1].GetSeq()}

	// People write when the server dies; what was not acknowledged they send again.
	type outcome struct {
		message *chatv1.Message
		err     error
	}
	writing := make(chan outcome, 1)
	go func() {
		for i := 0; ; i++ {
			message, err := guest.say(room.conversation, fmt.Sprintf("during-%d", i), "while it dies")
			if err != nil || i == 8 {
				writing <- outcome{message, err}
				return
			}
		}
	}()
	s.crash()
	<-writing
	audience.ends()
	refused(t, encoder, "")

	s.restart()
	waiting := room.get() // with the access token from before: the signing key is the same
	if waiting.GetBroadcast().GetState() != interrupted || waiting.GetBroadcast().GetId() != before.GetBroadcast().GetId() {
		t.Errorf("after the restart the broadcast is %v, want %s interrupted", waiting.GetBroadcast(), before.GetBroadcast().GetId())
	}
	_, err := guest.auth.GetMe(within(t), &authv1.GetMeRequest{})
	must(t, err)
	for i := range 5 { // a repeated send is harmless
		again, err := streamer.say(room.conversation, fmt.Sprintf("before-%d", i), fmt.Sprintf("message %d", i))
		must(t, err)
		if again.GetSeq() != sent[i].GetSeq() || again.GetEpoch() != sent[i].GetEpoch() {
			t.Errorf("the message %d was sent again as %d", sent[i].GetSeq(), again.GetSeq())
		}
	}

	// A play address from before is still good, and its viewer gets the picture when there is one again.
	viewer := watchWebSocket(t, before.GetPlayback().GetWsFlvUrl())
	encoding{}.push(t, address)
	if id := room.until(live).GetBroadcast().GetId(); id != before.GetBroadcast().GetId() {
		t.Errorf("the encoder came back to broadcast %s, want %s", id, before.GetBroadcast().GetId())
	}
	viewer.advances(viewer.latest() + time.Second)
	viewer.continuous()

	checkResume(t, room, guest, position, sent)
}

// checkResume goes on from a position and holds what comes to all that is stored: each message once, in order, with
// those that were acknowledged.
func checkResume(t *testing.T, room *room, reader *person, after *chatv1.Position, sent []*chatv1.Message) {
	t.Helper()
	audience := reader.subscribe(room.conversation, after)
	last, err := room.owner.say(room.conversation, "the-last-one", "after the restart")
	must(t, err)
	audience.sees(last)
	stored, err := reader.chat.ListMessages(within(t), &chatv1.ListMessagesRequest{ConversationId: room.conversation, PageSize: 200})
	must(t, err)
	ids := map[string]bool{}
	for i, m := range stored.GetMessages() {
		if m.GetSeq() != int64(i+1) || m.GetEpoch() != after.GetEpoch() {
			t.Errorf("stored message %d has the position %d/%d", i+1, m.GetEpoch(), m.GetSeq())
		}
		if ids[m.GetClientMsgId()] {
			t.Errorf("the message %s is stored twice", m.GetClientMsgId())
		}
		ids[m.GetClientMsgId()] = true
	}
	for _, m := range sent {
		if !ids[m.GetClientMsgId()] {
			t.Errorf("the message %s was acknowledged and is lost", m.GetClientMsgId())
		}
	}
	seqs := func(messages []*chatv1.Message) []int64 {
		var seqs []int64
		for _, m := range messages {
			if m.GetSeq() > after.GetSeq() {
				seqs = append(seqs, m.GetSeq())
			}
		}
		return seqs
	}
	told := audience.messages()
	if len(told) > 0 && told[0].GetSeq() <= after.GetSeq() {
		t.Errorf("the subscriber saw message %d again", told[0].GetSeq())
	}
	if got, want := seqs(told), seqs(stored.GetMessages()); !slices.Equal(got, want) {
		t.Errorf("the subscriber got the messages %v, want %v", got, want)
	}
}
