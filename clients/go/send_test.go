package stoa_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// TestSend sends while the connection is cut before each answer: each message is stored once.
func TestSend(t *testing.T) {
	for _, scheme := range []string{"ws", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			s := newTalksOver(t, scheme)
			s.open("c")
			d := newDevice()
			chat := d.open(t, s, -1)
			s.stored = func(*chatv1.Message) { // the lock is held
				for l := range s.e.lines {
					l.close()
				}
			}
			for n := 1; n <= 10; n++ {
				m, err := chat.SendText(within(t), "c", fmt.Sprint(n))
				if err != nil || m.GetSeq() != int64(n) || m.GetContent().GetText().GetText() != fmt.Sprint(n) {
					t.Fatalf("message %d was sent as %v, %v", n, m, err)
				}
			}
			d.upToDate(t, s)
			if _, err := chat.SendText(within(t), "elsewhere", "x"); stoa.Reason(err) != "CONVERSATION_NOT_FOUND" {
				t.Errorf("where one may not write, sending ended by %v", err)
			}
			chat.Close()
			if _, err := chat.SendText(within(t), "c", "x"); stoa.Reason(err) != stoa.ReasonConnectionEnded {
				t.Errorf("after the end, sending ended by %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := chat.SendText(ctx, "c", "x"); connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("with a context that is over, sending ended by %v", err)
			}
		})
	}
}

// TestRefusedSend sends until a refusal passes, and no longer where it does not.
func TestRefusedSend(t *testing.T) {
	s := newTalksOver(t, "tcp")
	s.open("c")
	d := newDevice()
	chat := d.open(t, s, -1)
	unlock := s.lock()
	s.refuse = []error{
		refusal(connect.CodeUnavailable, "UNAVAILABLE", nil),
		refusal(connect.CodeResourceExhausted, "RATE_LIMITED", map[string]string{"retry_after_ms": "300"}),
		refusal(connect.CodeAborted, "ABORTED", nil),
	}
	unlock()
	start := time.Now()
	if m, err := chat.SendText(within(t), "c", "x"); err != nil || m.GetSeq() != 1 {
		t.Errorf("it was sent as %v, %v", m, err)
	}
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("it was sent again after %v", took)
	}
	for _, final := range []error{
		refusal(connect.CodePermissionDenied, "MUTED", nil),
		refusal(connect.CodeResourceExhausted, "GROUP_FULL", nil),
		refusal(connect.CodeInternal, "INTERNAL", nil),
	} {
		unlock := s.lock()
		s.refuse = []error{final}
		unlock()
		if _, err := chat.SendText(within(t), "c", "x"); stoa.Reason(err) != stoa.Reason(final) {
			t.Errorf("%v ended as %v", final, err)
		}
	}
	d.upToDate(t, s)
}
