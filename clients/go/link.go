package stoa

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

const (
	// ackEvery is how many pushes are acknowledged at once.
	ackEvery = 50
	// outFrames is how many frames may wait to be written before their senders wait.
	outFrames = 64
)

// link is one signed-in socket, from its sign-in to its end.
type link struct {
	wire     wire
	maxFrame int
	signed   *edgev1.SignedIn
	logger   *slog.Logger

	out   chan []byte   // frames to be written
	poke  chan struct{} // wakes the writer for what the flags below say
	ack   atomic.Bool
	ping  atomic.Bool
	slots chan struct{} // calls in flight

	received atomic.Int64 // pushes of the session, those of earlier links included
	began    time.Time    // of the session, here
	heard    atomic.Int64 // when something came last, in nanoseconds after began
	said     atomic.Int64 // when something was written last, likewise

	mu     sync.Mutex
	asked  map[uint32]question
	lastID uint32
	err    error // why it ended

	done chan struct{} // closed by end
	wg   sync.WaitGroup
}

// signIn opens a session on a fresh socket, or takes one up. The socket is closed where it fails.
func signIn(w wire, o Options, token string, resume *edgev1.Resume) (*link, error) {
	l := &link{
		wire: w, maxFrame: o.MaxFrame, logger: o.Logger,
		out: make(chan []byte, outFrames), poke: make(chan struct{}, 1), lastID: 1,
		asked: make(map[uint32]question), done: make(chan struct{}),
	}
	if err := l.greet(o.DialTimeout, token, resume); err != nil {
		w.close()
		return nil, err
	}
	l.slots = make(chan struct{}, max(1, int(l.signed.GetMaxCalls())))
	if l.signed.GetResumed() {
		l.received.Store(resume.GetReceived())
	}
	return l, nil
}

func (l *link) greet(limit time.Duration, token string, resume *edgev1.Resume) error {
	hello, err := proto.Marshal(&edgev1.ClientFrame{Id: l.lastID, Kind: &edgev1.ClientFrame_SignIn{
		SignIn: &edgev1.SignIn{AccessToken: token, AcceptGzip: true, Resume: resume},
	}})
	if err != nil {
		return fmt.Errorf("encode sign-in: %w", err)
	}
	if err := l.wire.idle(limit); err != nil {
		return err
	}
	if err := l.wire.write(l.wire.append(nil, hello)); err != nil {
		return fmt.Errorf("send sign-in: %w", err)
	}
	frame, err := l.read()
	if err != nil {
		return fmt.Errorf("read sign-in's answer: %w", err)
	}
	switch kind := frame.GetKind().(type) {
	case *edgev1.ServerFrame_SignedIn:
		l.signed = kind.SignedIn
		l.began = time.Now()
		return nil
	case *edgev1.ServerFrame_Goodbye:
		return goodbyeError(kind.Goodbye)
	case *edgev1.ServerFrame_Error:
		return wireError(kind.Error)
	default:
		return fmt.Errorf("the server answered the sign-in by %T", kind)
	}
}

// serve runs the link until it ends, and returns why. Pushes go to push; renew brings fresh tokens.
func (l *link) serve(ctx context.Context, push func([]*edgev1.Event), renew func(context.Context, *link)) error {
	ctx, cancel := context.WithCancel(ctx)
	l.wg.Go(l.write)
	l.wg.Go(l.beat)
	l.wg.Go(func() { renew(ctx, l) })
	l.wg.Go(func() { // ends the read below
		select {
		case <-ctx.Done():
			l.end(context.Cause(ctx))
		case <-l.done:
		}
		l.wire.close()
	})
	l.end(l.listen(push))
	cancel()
	l.wg.Wait()
	return l.err
}

// end notes why the link ends; the first reason stays.
func (l *link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.done)
	}
}

// silence is how long the server may say nothing, and how long it lets this side say nothing.
func (l *link) silence() time.Duration {
	if ms := l.signed.GetSilenceMs(); ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return time.Minute
}

// listen reads until the socket or the server ends it.
func (l *link) listen(push func([]*edgev1.Event)) error {
	acked := l.received.Load()
	for {
		if err := l.wire.idle(l.silence()); err != nil {
			return err
		}
		frame, err := l.read()
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		l.heard.Store(int64(time.Since(l.began)))
		switch kind := frame.GetKind().(type) {
		case *edgev1.ServerFrame_Push:
			push(kind.Push.GetEvents())
			if n := l.received.Add(1); n-acked >= ackEvery {
				acked = n
				l.wake(&l.ack)
			}
		case *edgev1.ServerFrame_Goodbye:
			return goodbyeError(kind.Goodbye)
		case *edgev1.ServerFrame_Pong:
		default:
			l.answered(frame)
		}
	}
}

// read returns the next frame, unpacked.
func (l *link) read() (*edgev1.ServerFrame, error) {
	data, err := l.wire.read(l.maxFrame)
	if err != nil {
		return nil, err
	}
	frame := &edgev1.ServerFrame{}
	if err := proto.Unmarshal(data, frame); err != nil {
		return nil, fmt.Errorf("decode frame: %w", err)
	}
	packed := frame.GetPacked()
	if packed == nil {
		return frame, nil
	}
	if int(packed.GetSize()) > l.maxFrame || packed.GetSize() < 0 {
		return nil, fmt.Errorf("a packed frame has %d bytes, the limit is %d", packed.GetSize(), l.maxFrame)
	}
	if data, err = unpack(packed); err != nil {
		return nil, fmt.Errorf("unpack frame: %w", err)
	}
	frame.Reset()
	if err := proto.Unmarshal(data, frame); err != nil {
		return nil, fmt.Errorf("decode packed frame: %w", err)
	}
	return frame, nil
}

// unpack trusts the announced size as a limit only.
func unpack(packed *edgev1.Packed) ([]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed.GetGzip()))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(zip, int64(packed.GetSize())+1))
	if err != nil {
		return nil, err
	}
	if n != int64(packed.GetSize()) {
		return nil, fmt.Errorf("it has not the %d bytes that it announced", packed.GetSize())
	}
	return out.Bytes(), nil
}
