package stoa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

const (
	// outBytes is about how much goes into one write.
	outBytes = 64 << 10
	// lastWords is how long a server may take to say why it does not read any more.
	lastWords = time.Second
	// renewRetry is the longest pause after a token that could not be renewed.
	renewRetry = 5 * time.Second
)

// wake has the writer see to a flag. The reader and the heart never wait for the writer.
func (l *link) wake(flag *atomic.Bool) {
	flag.Store(true)
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// write puts what waits into as few writes as it can.
func (l *link) write() {
	var buf []byte
	for {
		buf = buf[:0]
		select {
		case frame := <-l.out:
			buf = l.wire.append(buf, frame)
		case <-l.poke:
		case <-l.done:
			return
		}
		for more := true; more && len(buf) < outBytes; {
			select {
			case frame := <-l.out:
				buf = l.wire.append(buf, frame)
			default:
				more = false
			}
		}
		for _, frame := range l.flagged() {
			data, err := proto.Marshal(frame)
			if err != nil {
				l.end(fmt.Errorf("encode frame: %w", err))
				return
			}
			buf = l.wire.append(buf, data)
		}
		if len(buf) == 0 {
			continue
		}
		if err := l.wire.write(buf); err != nil {
			l.wait(fmt.Errorf("write: %w", err))
			return
		}
		l.said.Store(int64(time.Since(l.began)))
		if cap(buf) > 4*outBytes {
			buf = nil // one large request does not stay
		}
	}
}

// wait leaves it to the reader to say why the link ended, for the server's goodbye may lie there; but not for long.
func (l *link) wait(err error) {
	late := time.NewTimer(lastWords)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
		l.end(err)
	}
}

// flagged returns the frames that the flags stand for.
func (l *link) flagged() []*edgev1.ClientFrame {
	var frames []*edgev1.ClientFrame
	if l.ack.Swap(false) {
		frames = append(frames, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ack{
			Ack: &edgev1.Ack{Received: l.received.Load()},
		}})
	}
	if l.ping.Swap(false) {
		frames = append(frames, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}})
	}
	return frames
}

// beat pings when either side has said nothing for half of what the server bears.
func (l *link) beat() {
	half := l.silence() / 2
	ticker := time.NewTicker(half / 4)
	defer ticker.Stop()
	var pinged time.Duration
	for {
		select {
		case <-ticker.C:
			now := time.Since(l.began)
			last := max(pinged, time.Duration(min(l.heard.Load(), l.said.Load())))
			if now-last >= half*3/4 {
				pinged = now
				l.wake(&l.ping)
			}
		case <-l.done:
			return
		}
	}
}

// renewal brings a fresh token before the one at hand ends, again and again.
func (l *link) renewal(
	ctx context.Context, token Token, fresh func(context.Context) (Token, error), retry time.Duration,
) {
	for !token.ExpiresAt.IsZero() {
		left := token.ExpiresAt.Sub(l.signed.GetServerTime().AsTime()) - time.Since(l.began)
		if !pause(ctx, left*3/4) {
			return
		}
		next, err := fresh(ctx)
		if err == nil && !next.ExpiresAt.After(token.ExpiresAt) {
			err = errors.New("it is not fresh")
		}
		if err == nil {
			_, err = l.ask(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Renew{
				Renew: &edgev1.Renew{AccessToken: next.Access},
			}})
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.logger.LogAttrs(ctx, slog.LevelWarn, "token not renewed", slog.String("cause", err.Error()))
			if !pause(ctx, retry) {
				return
			}
			continue
		}
		token = next
	}
}

// pause waits; false once ctx is over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
