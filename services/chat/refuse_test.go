package chat_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

// callAll makes each call about a conversation and returns its error by name.
func (n *node) callAll(c chatv1connect.ChatServiceClient, conversation string) map[string]error {
	n.t.Helper()
	_, send := c.SendMessage(n.t.Context(), sending(conversation, "call-all", "x"))
	_, like := c.Like(n.t.Context(), &chatv1.LikeRequest{ConversationId: conversation, Count: 1})
	_, list := c.ListMessages(n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: conversation})
	return map[string]error{
		"SendMessage": send, "Like": like, "ListMessages": list,
	}
}

func TestUnknownConversationsAreAllAlike(t *testing.T) {
	t.Parallel()
	everyWire(t, func(t *testing.T, options ...connect.ClientOption) {
		n := newWorld(t).boot(fast())
		var first string
		for _, id := range []string{"01JNOBODY00000000000000000", "x", "../etc/passwd", "' OR 1=1 --", strings.ToLower(room)} {
			for call, err := range n.callAll(n.as("ann", options...), id) {
				if !errs.Is(err, connect.CodeNotFound, chat.ReasonConversationNotFound) {
					t.Errorf("%s(%q): %v", call, id, err)
				}
				if first == "" {
					first = err.Error()
				}
				if err.Error() != first || len(errs.Metadata(err)) != 0 {
					t.Errorf("%s(%q) can be told apart: %v", call, id, err)
				}
			}
		}
	})
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	anonymous := chatv1connect.NewChatServiceClient(n.server.Client(), n.server.URL())
	for call, err := range n.callAll(anonymous, room) {
		if !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
			t.Errorf("anyone: %s: %v", call, err)
		}
	}
	for call, err := range n.callAll(n.guest("guest"), room) {
		switch call {
		case "SendMessage", "Like":
			if !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
				t.Errorf("a guest: %s: %v", call, err)
			}
		default:
			if err != nil {
				t.Errorf("a guest: %s: %v", call, err)
			}
		}
	}
	admin := chatv1connect.NewConversationServiceClient(n.server.Client(), n.server.URL(),
		n.As(t, n.User("root", authv1.Role_ROLE_ADMIN)))
	if _, err := admin.CreateConversation(t.Context(), &chatv1.CreateConversationRequest{
		ConversationId: room, Kind: 1, OwnerId: "root",
	}); !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
		t.Errorf("an administrator made a conversation: %v", err)
	}
	// Somebody whose token outlived their account.
	if _, err := n.as("ghost").SendMessage(t.Context(), sending(room, "ghost", "boo")); !errs.Is(err, connect.CodeNotFound, "USER_NOT_FOUND") {
		t.Errorf("a ghost: %v", err)
	}
}

func TestCreateConversationTwice(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	n.send("ann", "first", "x")
	n.create(room)
	if m := n.send("ann", "second", "x"); m.GetSeq() != 2 {
		t.Errorf("got %v", m)
	}
	c := n.neighbour("live")
	for name, r := range map[string]*chatv1.CreateConversationRequest{
		"short id": {ConversationId: "x", Kind: 1, OwnerId: "o"},
		"no kind":  {ConversationId: room, OwnerId: "o"},
		"new kind": {ConversationId: room, Kind: 99, OwnerId: "o"},
		"no owner": {ConversationId: room, Kind: 1},
	} {
		if _, err := c.CreateConversation(t.Context(), r); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	i := 0
	send := func(s string) (string, error) {
		i++
		res, err := n.as("ann").SendMessage(t.Context(), sending(room, fmt.Sprint("text-", i), s))
		return res.GetMessage().GetContent().GetText().GetText(), err
	}
	for given, want := range map[string]string{
		"x":                           "x",
		"  a b  ":                     "a b",
		"a\r\nb":                      "a\nb",
		"\n\u200b a \u2800":           "a",
		"👨‍👩‍👧‍👦":                     "👨‍👩‍👧‍👦",
		"<b>&\"'":                     "<b>&\"'",
		"مرحبا \u202babc":             "مرحبا \u202babc",
		strings.Repeat("😀", 500):      strings.Repeat("😀", 500),
		"e\u0301":                     "e\u0301",
		"'); DROP TABLE messages; --": "'); DROP TABLE messages; --",
		"\u00a0a\u3000":               "a",
	} {
		if got, err := send(given); err != nil || got != want {
			t.Errorf("%q was stored as %q, %v", given, got, err)
		}
	}
	for _, bad := range []string{
		"", " ", "\n\n", "\u200b", "\u2800\u3164", "\ufeff\u200d", "\u0301", "\u200b\u2060\u00ad", "a\x00b", "a\x1b[31m",
		"a\tb", "a\rb", "a\u0085b", "\x7f", strings.Repeat("x", 501), strings.Repeat("x", 1<<19),
	} {
		if _, err := send(bad); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%.10q (%d bytes): %v", bad, len(bad), err)
		}
	}
	if _, err := send(strings.Repeat("x", 2<<20)); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRequestTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
	for name, r := range map[string]*chatv1.SendMessageRequest{
		"no content":  {ConversationId: room, ClientMsgId: "12345678"},
		"empty kind":  {ConversationId: room, ClientMsgId: "12345678", Content: &chatv1.Content{}},
		"short id":    {ConversationId: room, ClientMsgId: "1234567", Content: text("x")},
		"long id":     {ConversationId: room, ClientMsgId: strings.Repeat("x", 65), Content: text("x")},
		"no room":     {ClientMsgId: "12345678", Content: text("x")},
		"a long room": {ConversationId: strings.Repeat("x", 65), ClientMsgId: "12345678", Content: text("x")},
	} {
		if _, err := n.as("ann").SendMessage(t.Context(), r); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, count := range []int32{0, -1, 51} {
		if _, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: count}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%d likes: %v", count, err)
		}
	}
	n.assertMetric("stoa_chat_batches_failed_total", 0)
}

func TestBodiesThatAreNoMessages(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	token := n.Token(t, n.User("ann", authv1.Role_ROLE_USER))
	for name, c := range map[string]struct{ kind, body string }{
		"wrong type":    {"application/json", `{"conversationId": 7}`},
		"not JSON":      {"application/json", `{`},
		"invalid UTF-8": {"application/proto", "\x0a\x1a" + room + "\x12\x08abcdefgh\x1a\x05\x0a\x03\x0a\x01\xff"},
		"garbage":       {"application/proto", "\xff\xff\xff"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			n.server.URL()+chatv1connect.ChatServiceSendMessageProcedure, strings.NewReader(c.body))
		n.must(err)
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := n.server.Client().Do(r)
		n.must(err)
		body, err := io.ReadAll(res.Body)
		n.must(errors.Join(err, res.Body.Close()))
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "google.rpc.ErrorInfo") {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
}

func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	ms, bad := strconv.Atoi(errs.Metadata(err)["retry_after_ms"])
	if bad != nil || ms < 1 || !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
		t.Fatalf("got %v with %v", err, errs.Metadata(err))
	}
	return time.Duration(ms) * time.Millisecond
}

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// So slow that the test's own time refills nothing.
	n := w.boot(chat.Config{
		UserRate: 0.001, UserBurst: 3, RoomRate: 0.01, RoomBurst: 5, LikeRate: 0.001, LikeBurst: 60,
	})
	i := 0
	send := func(user string) error {
		i++
		_, err := n.as(user).SendMessage(t.Context(), sending(room, fmt.Sprint("limit-", i), "x"))
		return err
	}
	for range 3 {
		n.must(send("ann"))
	}
	if wait := retryAfter(t, send("ann")); wait > 1000*time.Second || wait < 900*time.Second {
		t.Errorf("ann shall wait %v", wait)
	}
	n.must(send("bob")) // is not held up by her
	n.must(send("bob"))
	if wait := retryAfter(t, send("cid")); wait > 100*time.Second || wait < 90*time.Second {
		t.Errorf("the room is full for %v", wait)
	}
	w.clock.advance(101 * time.Second) // one place in the room
	n.must(send("cid"))
	for range 4 { // a full room costs its visitors nothing
		retryAfter(t, send("dan"))
	}
	w.clock.advance(500 * time.Second)
	for range 3 {
		n.must(send("dan"))
	}
	if _, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 50}); err != nil {
		t.Error(err)
	}
	_, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 50})
	retryAfter(t, err)
	if _, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 10}); err != nil {
		t.Errorf("a refusal took likes: %v", err)
	}
}

func TestConfigs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, cfg := range []chat.Config{
		{UserRate: -1},
		{RoomBurst: -1},
		{LikeBurst: 49},
		{MaxBatch: -1},
	} {
		if _, err := chat.New(t.Context(), cfg, service.Deps{}); err == nil {
			t.Errorf("took %+v", cfg)
		}
	}
	if _, err := chat.New(t.Context(), chat.Config{}, service.Deps{
		Logger: w.rpc.Logger, Metrics: w.rpc.Metrics, StoreURL: "oracle:",
	}); err == nil || !strings.Contains(err.Error(), "unknown scheme") {
		t.Errorf("got %v", err)
	}
	w.boot(chat.Config{}) // the failures left nothing behind
}
