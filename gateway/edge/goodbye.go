package edge

import (
	"fmt"
	"math/rand/v2"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// never is a reconnect_ms that asks for a person's doing.
const never = -1

// soon spreads clients that come back over some time, in milliseconds.
func soon(most int32) int32 { return rand.Int32N(most) + 1 } //nolint:gosec // no secret

func goodbye(reason edgev1.GoodbyeReason, message string, reconnect int32) *frame {
	return goodbyeOf(&edgev1.Goodbye{Reason: reason, Message: message, ReconnectMs: reconnect})
}

func goodbyeOf(g *edgev1.Goodbye) *frame {
	return newFrame(&edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Goodbye{Goodbye: g}})
}

func goodbyeBadFrame(what string) *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_BAD_FRAME, what, never)
}

func goodbyeLate() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_TIMEOUT, "no sign-in came in time", soon(5_000))
}

func goodbyeRefused(err error) *frame {
	return goodbyeOf(&edgev1.Goodbye{
		Reason: edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED, Message: "the sign-in was refused", ReconnectMs: soon(1_000),
		Error: errorOf(err),
	})
}

func goodbyeExpired() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED, "the token expired and no other came", soon(1_000))
}

func goodbyeRevoked() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED, "this session was signed out", never)
}

func goodbyeElsewhere() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE, "another connection took this one's place", never)
}

func goodbyeSlow() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER, "the client read too slowly, come back and sync", soon(2_000))
}

func goodbyeDraining() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING, "the server stops, come back", soon(5_000))
}

func goodbyeFull() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_FULL, "too many are connected here", 5_000+soon(10_000))
}

func goodbyeMany(most int) *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_FULL,
		fmt.Sprintf("this user has %d connections here, and may have no more", most), 5_000+soon(10_000))
}

func goodbyeSilent() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SILENT, "nothing was heard for too long, come back", soon(1_000))
}

func goodbyeFlood() *frame {
	return goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_FLOOD, "the client sends too much", 5_000+soon(10_000))
}

// errorOf is an error in the words of the protocol.
func errorOf(err error) *edgev1.Error {
	wire := errs.ToConnect(err)
	out := &edgev1.Error{Code: int32(wire.Code()), Message: wire.Message(), Metadata: errs.Metadata(wire)} //nolint:gosec // at most 16
	out.Reason = errs.Reason(wire)
	return out
}

func refusal(id uint32, err error) *frame {
	return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Error{Error: errorOf(err)}})
}

func done(id uint32) *frame {
	return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Done{Done: &edgev1.Done{}}})
}

// decode reads a bare frame, for the transport that sends messages.
func decode(b []byte) (*edgev1.ServerFrame, error) {
	f := &edgev1.ServerFrame{}
	return f, proto.Unmarshal(b, f)
}
