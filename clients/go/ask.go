package stoa

import (
	"context"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// question is a frame whose answer is awaited.
type question struct {
	answer chan *edgev1.ServerFrame // holds one
	slot   bool                     // it has a place in slots
}

// answered hands an answer to who waits for it; one that nobody waits for any more is dropped.
func (l *link) answered(frame *edgev1.ServerFrame) {
	l.mu.Lock()
	q, ok := l.asked[frame.GetId()]
	delete(l.asked, frame.GetId())
	l.mu.Unlock()
	if !ok {
		return
	}
	if q.slot {
		<-l.slots
	}
	q.answer <- frame
}

// ask sends a frame and waits for its answer. Errors: those of the server, ReasonConnectionLost, ReasonRequestTooLarge, the
// context's.
func (l *link) ask(ctx context.Context, frame *edgev1.ClientFrame) (*edgev1.ServerFrame, error) {
	q := question{answer: make(chan *edgev1.ServerFrame, 1), slot: frame.GetCall() != nil}
	if q.slot {
		select {
		case l.slots <- struct{}{}:
		case <-l.done:
			return nil, connectionLost(l.err)
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
	}
	l.mu.Lock()
	if l.lastID == math.MaxUint32 {
		l.lastID = 0
	}
	l.lastID++
	frame.Id = l.lastID
	l.asked[frame.GetId()] = q
	l.mu.Unlock()
	if err := l.send(ctx, frame); err != nil {
		l.answered(&edgev1.ServerFrame{Id: frame.GetId()}) // the server will not
		return nil, err
	}
	select {
	case answer := <-q.answer:
		return outcome(answer)
	case <-ctx.Done(): // its place stays taken until the server answers
		return nil, contextError(ctx)
	case <-l.done:
		select {
		case answer := <-q.answer: // it came just before the end
			return outcome(answer)
		default:
			return nil, connectionLost(l.err)
		}
	}
}

func outcome(answer *edgev1.ServerFrame) (*edgev1.ServerFrame, error) {
	if e := answer.GetError(); e != nil {
		return nil, wireError(e)
	}
	return answer, nil
}

// send hands a frame to the writer.
func (l *link) send(ctx context.Context, frame *edgev1.ClientFrame) error {
	data, err := proto.Marshal(frame)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if limit := int(l.signed.GetMaxFrameBytes()); limit > 0 && len(data) > limit {
		return requestTooLarge(len(data), limit)
	}
	select {
	case l.out <- data:
		return nil
	case <-l.done:
		return connectionLost(l.err)
	case <-ctx.Done():
		return contextError(ctx)
	}
}
