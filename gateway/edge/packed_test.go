package edge_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// TestPackedFrames: what is large, can be compressed and goes to a client that accepts it is compressed, and nothing else.
func TestPackedFrames(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() {
			w.chat.conversations["ann"], w.chat.conversations["bob"] = []string{"group"}, []string{"group"}
		})
		in := func(user string, accepts bool) wire {
			t.Helper()
			n := open(w)
			f := signIn(w.Token(t, w.member(user)))
			f.GetSignIn().AcceptGzip = accepts
			w.must(n.send(f))
			if f, err := n.receive(); err != nil || f.GetSignedIn() == nil {
				t.Fatalf("got %v, %v", f, err)
			}
			return n
		}
		ann, bob := in("ann", true), in("bob", false)
		noise := make([]byte, 4<<10)
		_, _ = rand.Read(noise) // it never fails
		for seq, c := range []struct {
			name, text string
			packs      bool
		}{
			{"short", strings.Repeat("a", 900), false},
			{"long", strings.Repeat("again and ", 1000), true},
			{"noise", string(noise), false},
			{"long again", strings.Repeat("and again ", 1000), true},
		} {
			tell(w, "chat.conversation_events", "group", &chatv1.ConversationEvents{ConversationId: "group", Events: []*chatv1.Event{{
				ConversationId: "group", Kind: &chatv1.Event_Message{Message: &chatv1.Message{
					Epoch: 1, Seq: int64(seq + 1), Content: &chatv1.Content{Kind: &chatv1.Content_Custom{Custom: &chatv1.CustomContent{Data: []byte(c.text)}}},
				}},
			}}})
			for name, n := range map[string]wire{"ann": ann, "bob": bob} {
				got := pushOf(t, n)
				p := got.GetPacked()
				if (p != nil) != (c.packs && name == "ann") {
					t.Errorf("%s: packed %v for %s", c.name, p != nil, name)
				}
				if p != nil {
					if got = unpack(t, p); len(p.GetGzip()) > int(p.GetSize())/5 {
						t.Errorf("%s: packed %d bytes into %d", c.name, p.GetSize(), len(p.GetGzip()))
					}
				}
				if m := got.GetPush().GetEvents()[0].GetChat().GetMessage(); m.GetSeq() != int64(seq+1) || string(m.GetContent().GetCustom().GetData()) != c.text {
					t.Errorf("%s: message %d came", c.name, m.GetSeq())
				}
			}
		}
	})
}

// pushOf returns the next push, packed or not.
func pushOf(t *testing.T, n wire) *edgev1.ServerFrame {
	t.Helper()
	for {
		f, err := n.receive()
		if err != nil {
			t.Fatal(err)
		}
		if f.GetPush() != nil || f.GetPacked() != nil {
			return f
		}
	}
}
