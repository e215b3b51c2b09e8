package e2e_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/testkit/history"
)

// plainBinary builds the binary as it is shipped: without the race detector, for tests that need its pace.
var plainBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(stoaBinary), "stoa-plain")
	build := exec.Command("go", "build", "-o", path, "../cmd/stoa")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return path, nil
})

// chatServer makes a server of the shipped binary whose people may talk as fast as they can. It is not started yet.
func chatServer(t *testing.T) *server {
	t.Helper()
	binary, err := plainBinary()
	must(t, err)
	s := newServer(t, "STOA_CHAT_USER_RATE=100000", "STOA_CHAT_ROOM_RATE=100000", "STOA_EDGE_ADDR="+freeAddress(t))
	s.program = []string{binary}
	return s
}

// freeAddress is one of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// edgeURL is where long connections go, over WebSocket or TCP.
func (s *server) edgeURL(websocket bool) string {
	if websocket {
		return "ws" + strings.TrimPrefix(s.url, "http") + "/edge/v1"
	}
	for _, setting := range s.settings {
		if address, ok := strings.CutPrefix(setting, "STOA_EDGE_ADDR="); ok {
			return "tcp://" + address
		}
	}
	s.t.Fatal("the server has no address for TCP")
	return ""
}

// talker is somebody on a long connection: all that their device is shown goes into a log.
type talker struct {
	s      *server
	log    *history.Log
	id     string
	chat   *stoa.Chat
	groups chatv1connect.GroupServiceClient
	live   livev1connect.LiveServiceClient

	mu   sync.Mutex
	seqs map[string]int64 // of the last message of each conversation that was shown
}

// talker signs somebody up and connects them.
func (s *server) talker(ctx context.Context, log *history.Log, name string, websocket bool) (*talker, error) {
	account, err := stoa.SignUp(ctx, stoa.AccountOptions{URL: s.url, HTTPClient: s.client},
		name+"-"+strings.ToLower(rand.Text()[:8]), password, name)
	if err != nil {
		return nil, err
	}
	p := &talker{s: s, log: log, id: account.Session().User.GetId(), seqs: make(map[string]int64)}
	p.chat, err = stoa.OpenChat(ctx, stoa.Options{
		URL: s.edgeURL(websocket), Token: account.Token, BackoffMin: 50 * time.Millisecond, BackoffMax: 500 * time.Millisecond,
	}, stoa.ChatOptions{History: -1, OnUpdate: p.shown})
	if err != nil {
		return nil, err
	}
	p.groups = chatv1connect.NewGroupServiceClient(p.chat.Conn().HTTPClient(), "http://edge")
	p.live = livev1connect.NewLiveServiceClient(p.chat.Conn().HTTPClient(), "http://edge")
	s.t.Cleanup(p.chat.Close)
	return p, nil
}

// talkers signs people up, several at a time.
func (s *server) talkers(log *history.Log, n int) []*talker {
	s.t.Helper()
	people, errs := make([]*talker, n), make([]error, n)
	ctx, cancel := context.WithTimeout(s.t.Context(), 4*patience)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				people[i], errs[i] = s.talker(ctx, log, fmt.Sprintf("talker%d", i), i%2 == 0)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		must(s.t, err)
	}
	return people
}

// logged is a message as a log has it. What the house says in a group has no client_msg_id.
func logged(m *chatv1.Message) history.Message {
	out := history.Message{
		Sender: m.GetSender().GetId(), ID: m.GetClientMsgId(), Place: history.Place{Epoch: m.GetEpoch(), Seq: m.GetSeq()},
		Content: digest(m.GetContent()),
	}
	if m.GetContent().GetSystem() != nil {
		out.Sender, out.ID = "the house", fmt.Sprintf("system-%d", m.GetSeq())
	}
	return out
}

// digest is what a log keeps of a content; 0 where there is none.
func digest(content *chatv1.Content) uint64 {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(content)
	if err != nil {
		return 0
	}
	return history.Digest(encoded)
}

// unsent is a message as a log has it before it is sent.
func (p *talker) unsent(r *chatv1.SendMessageRequest) history.Message {
	return history.Message{Sender: p.id, ID: r.GetClientMsgId(), Content: digest(r.GetContent())}
}

// answered is a message that was sent by r, at the place and with the content that its answer has.
func (p *talker) answered(r *chatv1.SendMessageRequest, m *chatv1.Message) history.Message {
	out := logged(m)
	out.Sender, out.ID = p.id, r.GetClientMsgId()
	return out
}

func (p *talker) shown(u stoa.Update) {
	for _, m := range u.Messages {
		p.log.Received(p.id, u.ConversationID, logged(m))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seqs[u.ConversationID] = u.Position.Seq
}

// seq is the last message of a conversation that was shown.
func (p *talker) seq(conversation string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seqs[conversation]
}

// makeGroup makes a group with others in it.
func (p *talker) makeGroup(others ...*talker) string {
	p.s.t.Helper()
	request := &chatv1.CreateGroupRequest{RequestId: rand.Text(), Title: "talk"}
	for _, o := range others {
		request.UserIds = append(request.GetUserIds(), o.id)
	}
	made, err := p.groups.CreateGroup(within(p.s.t), request)
	must(p.s.t, err)
	return made.GetState().GetConversation().GetId()
}

// makeDirect opens the direct conversation with somebody else.
func (p *talker) makeDirect(other *talker) string {
	p.s.t.Helper()
	made, err := p.chat.Service.OpenDirect(within(p.s.t), &chatv1.OpenDirectRequest{UserId: other.id})
	must(p.s.t, err)
	return made.GetState().GetConversation().GetId()
}

// makeRoom makes a live room and has others enter it.
func (p *talker) makeRoom(others ...*talker) string {
	p.s.t.Helper()
	made, err := p.live.CreateRoom(within(p.s.t), &livev1.CreateRoomRequest{
		Title: "talk", CategoryId: "technology", RequestId: rand.Text(),
	})
	must(p.s.t, err)
	id := made.GetRoom().GetConversationId()
	for _, o := range append(others, p) {
		_, err := o.chat.EnterRoom(within(p.s.t), id, false)
		must(p.s.t, err)
	}
	return id
}

// say sends a message until it is acknowledged, and logs both.
func (p *talker) say(ctx context.Context, conversation, text string) error {
	r := sending(conversation, stoa.NewMessageID(), text)
	p.log.Sent(conversation, p.unsent(r))
	m, err := p.chat.Send(ctx, r)
	if err != nil {
		return err
	}
	p.log.Acked(conversation, p.answered(r, m))
	return nil
}

func sending(conversation, id, text string) *chatv1.SendMessageRequest {
	return &chatv1.SendMessageRequest{
		ConversationId: conversation, ClientMsgId: id,
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	}
}

// verdict waits until all devices were shown the last messages of their conversations, and holds the log to what is stored.
// All of them were there from the first message on.
func verdict(t *testing.T, log *history.Log, talks map[string][]*talker) {
	t.Helper()
	stored := make(map[string][]history.Message)
	for id, people := range talks {
		messages := people[0].stored(id)
		for _, m := range messages {
			if m.Sender == "the house" {
				log.Sent(id, m)
			}
		}
		stored[id] = messages
		for _, p := range people {
			last := messages[len(messages)-1].Place.Seq
			eventually(t, "a device was shown the last message", func() error {
				if at := p.seq(id); at < last {
					return fmt.Errorf("it is at %d of %d", at, last)
				}
				return nil
			})
			log.From(p.id, id, history.Place{Epoch: 1, Seq: 1})
			log.Complete(p.id, id)
		}
	}
	faults := history.Check(log, stored)
	kinds := make(map[history.FaultKind]int)
	for i, f := range faults {
		kinds[f.Kind]++
		if i < 20 {
			t.Error(f)
		}
	}
	t.Logf("%+v; faults: %v", log.Counts(), kinds)
}

// stored reads a whole history, beside the way by which devices learn of it.
func (p *talker) stored(conversation string) []history.Message {
	p.s.t.Helper()
	var out []history.Message
	after := &chatv1.Position{Epoch: 1}
	for more := true; more; {
		page, err := p.chat.Service.ListMessages(within(p.s.t), &chatv1.ListMessagesRequest{
			ConversationId: conversation, From: &chatv1.ListMessagesRequest_After{After: after}, PageSize: 200,
		})
		must(p.s.t, err)
		for _, m := range page.GetMessages() {
			out = append(out, logged(m))
			after = &chatv1.Position{Epoch: m.GetEpoch(), Seq: m.GetSeq()}
		}
		more = page.GetHasMore()
	}
	if len(out) == 0 {
		p.s.t.Fatalf("nothing is stored in %s", conversation)
	}
	return out
}
