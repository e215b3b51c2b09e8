package edge

import (
	"testing"

	"connectrpc.com/connect"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// TestStreamsEndAsTheirGoodbyes: the error of the RPC says the same as the frame before it, also where that did not arrive.
func TestStreamsEndAsTheirGoodbyes(t *testing.T) {
	for why, want := range map[string]struct {
		reason edgev1.GoodbyeReason
		code   connect.Code
		word   string
	}{
		"drained":     {edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING, connect.CodeUnavailable, ReasonDraining},
		"revoked":     {edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED, connect.CodeUnauthenticated, authn.ReasonSessionRevoked},
		"expired":     {edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED, connect.CodeUnauthenticated, authn.ReasonTokenExpired},
		"slow":        {edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER, connect.CodeResourceExhausted, ReasonSlowConsumer},
		"resume_lost": {edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER, connect.CodeResourceExhausted, ReasonSlowConsumer},
		"elsewhere":   {edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE, connect.CodeAborted, ReasonSignedInElsewhere},
		"gave_way":    {edgev1.GoodbyeReason_GOODBYE_REASON_FULL, connect.CodeResourceExhausted, ReasonTooManySessions},
		"kicked":      {edgev1.GoodbyeReason_GOODBYE_REASON_KICKED, connect.CodePermissionDenied, errs.ReasonForbidden},
	} {
		s := bareSession(bareEdge(t, Config{}), newGate())
		s.why = why
		if got := reasonOf(why); got != want.reason {
			t.Errorf("%s is remembered as %v", why, got)
		}
		if err := s.reason(); !errs.Is(err, want.code, want.word) {
			t.Errorf("%s ends a stream with %v", why, err)
		}
	}
	if err := bareSession(bareEdge(t, Config{}), newGate()).reason(); err != nil {
		t.Errorf("a stream whose client left ends with %v", err)
	}
}
