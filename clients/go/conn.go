package stoa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// steady is how long a session has to last for the next failure to count as the first.
const steady = 10 * time.Second

// errClosed is why a connection ended that its program closed.
var errClosed = errors.New("closed by the program")

// Conn is a long connection: one session over as many sockets as it takes. Its methods may be called by many goroutines.
type Conn struct {
	options Options
	at      *url.URL
	queue   *queue

	ctx    context.Context //nolint:containedctx // of the connection's own work; ends by Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	done   chan struct{} // closed when it has ended for good

	mu   sync.Mutex
	link *link         // nil while it is down
	up   chan struct{} // closed while it is up
	last error         // why it went down last; once done is closed, why it ended

	// Of the goroutine that connects.
	session session
	refused refusal
}

// session is what there is to take up again.
type session struct {
	id       string
	received int64
	cut      time.Time
	window   time.Duration
}

// refusal is a token that the server did not take, and why.
type refusal struct {
	access string
	cause  error
}

// Dial opens a connection and returns once it is signed in. Until then it tries again after failures that may pass, as
// long as ctx lives; afterwards it lives until Close, until the server ends it for good, or until the token is refused.
// Errors: a [*GoodbyeError], the token's, the context's with the last failure.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	c, err := newConn(o)
	if err != nil {
		return nil, err
	}
	c.start()
	if err := c.Ready(ctx); err != nil {
		last := c.Err()
		c.Close()
		if last != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("dial: %w: %w", context.Cause(ctx), last)
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	return c, nil
}

func newConn(o Options) (*Conn, error) {
	o, at, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		options: o, at: at, queue: newQueue(o.QueueEvents), done: make(chan struct{}), up: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c, nil
}

func (c *Conn) start() {
	c.wg.Go(c.run)
	c.wg.Go(c.tell)
}

// Close ends the connection and returns when all of it has ended; calls that wait fail with ReasonConnectionEnded. It must
// not be called by a callback. Again does nothing.
func (c *Conn) Close() {
	c.cancel(errClosed)
	c.wg.Wait()
}

// Done is closed when the connection has ended for good.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection went down last, or, once Done is closed, why it ended; nil when it never did.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Ready waits until the connection is up. Errors: ReasonConnectionEnded, the context's.
func (c *Conn) Ready(ctx context.Context) error {
	_, err := c.await(ctx)
	return err
}

// Session returns the session of a connection that is up, and nil for one that is down.
func (c *Conn) Session() *edgev1.SignedIn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return nil
	}
	return c.link.signed
}

// await returns the link, as soon as there is one.
func (c *Conn) await(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		l, up := c.link, c.up
		c.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-up:
		case <-c.done:
			return nil, connectionEnded(c.Err())
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
	}
}

// Call does a unary RPC over the connection, as a generated client would: procedure is such as
// "/stoa.chat.v1.ChatService/SendMessage", and the deadline of ctx goes along. It waits for a connection that is down.
// Errors: those of the RPC, as a [*connect.Error] with its [Reason]; Unavailable (ReasonConnectionLost: it may have been
// done; ReasonConnectionEnded), ResourceExhausted (ReasonRequestTooLarge), the context's.
func (c *Conn) Call(ctx context.Context, procedure string, request, response proto.Message) error {
	data, err := proto.Marshal(request)
	if err != nil {
		return connect.NewError(connect.CodeInternal, fmt.Errorf("encode request: %w", err))
	}
	if data, err = c.call(ctx, procedure, data); err != nil {
		return err
	}
	if err := proto.Unmarshal(data, response); err != nil {
		return connect.NewError(connect.CodeInternal, fmt.Errorf("decode response: %w", err))
	}
	return nil
}

func (c *Conn) call(ctx context.Context, procedure string, request []byte) ([]byte, error) {
	l, err := c.await(ctx)
	if err != nil {
		return nil, err
	}
	call := &edgev1.Call{Procedure: procedure, Request: request}
	if deadline, ok := ctx.Deadline(); ok {
		call.TimeoutMs = int32(min(max(time.Until(deadline).Milliseconds(), 1), 1<<31-1)) //nolint:gosec // bounded
	}
	answer, err := l.ask(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Call{Call: call}})
	if err != nil {
		return nil, err
	}
	return answer.GetReply().GetResponse(), nil
}

// Enter enters a live room for the session; unseen does not count the user. What happens there from then on goes to
// OnEvents. Errors: those of the server, and of Call.
func (c *Conn) Enter(ctx context.Context, conversationID string, unseen bool) (*edgev1.Entered, error) {
	answer, err := c.ask(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Enter{
		Enter: &edgev1.Enter{ConversationId: conversationID, Unseen: unseen},
	}})
	return answer.GetEntered(), err
}

// Leave leaves a live room; one that was not entered is no error. Errors: those of Call.
func (c *Conn) Leave(ctx context.Context, conversationID string) error {
	_, err := c.ask(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Leave{
		Leave: &edgev1.Leave{ConversationId: conversationID},
	}})
	return err
}

// Watch follows the presence of up to 200 users in place of those before, and returns it. Errors: those of the server, and
// of Call.
func (c *Conn) Watch(ctx context.Context, userIDs []string) (*edgev1.Watching, error) {
	answer, err := c.ask(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Watch{Watch: &edgev1.Watch{UserIds: userIDs}}})
	return answer.GetWatching(), err
}

func (c *Conn) ask(ctx context.Context, frame *edgev1.ClientFrame) (*edgev1.ServerFrame, error) {
	l, err := c.await(ctx)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, frame)
}

// Typing tells a conversation that the user is writing, or stopped. A connection that is down tells nothing.
func (c *Conn) Typing(ctx context.Context, conversationID string, stopped bool) error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.send(ctx, &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Typing{
		Typing: &edgev1.Typing{ConversationId: conversationID, Stopped: stopped},
	}})
}

// run connects again and again until the connection is closed or must not come back.
func (c *Conn) run() {
	var last error
	for failures := 0; ; {
		lasted, err := c.connect()
		if c.ctx.Err() != nil {
			last = context.Cause(c.ctx)
			break
		}
		if lasted >= steady {
			failures = 0
		}
		wait, ok := c.back(err, failures)
		failures++
		c.options.Logger.LogAttrs(c.ctx, slog.LevelInfo, "connection lost", slog.String("cause", err.Error()),
			slog.Duration("wait", wait), slog.Bool("final", !ok))
		if !ok {
			last = err
			break
		}
		c.down(err)
		if !pause(c.ctx, wait) {
			last = context.Cause(c.ctx)
			break
		}
	}
	c.mu.Lock()
	c.link, c.last = nil, last
	c.mu.Unlock()
	c.queue.status(Status{Err: last, Final: true})
	close(c.done)
}

// connect signs in and serves until the socket ends. It returns how long the session lasted.
func (c *Conn) connect() (lasted time.Duration, err error) {
	l, token, err := c.signIn()
	if err != nil {
		return 0, err
	}
	if !l.signed.GetResumed() {
		c.queue.session(l.signed)
	}
	c.mu.Lock()
	c.link = l
	close(c.up)
	c.mu.Unlock()
	c.queue.status(Status{Up: true})
	err = l.serve(c.ctx, c.queue.put, func(ctx context.Context, l *link) {
		l.renewal(ctx, token, c.options.Token, min(renewRetry, c.options.BackoffMax))
	})
	c.session = session{
		id: l.signed.GetSessionId(), received: l.received.Load(), cut: time.Now(),
		window: time.Duration(l.signed.GetResumeMs()) * time.Millisecond,
	}
	return time.Since(l.began), err
}

func (c *Conn) signIn() (*link, Token, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.options.DialTimeout)
	defer cancel()
	token, err := c.options.Token(ctx)
	if err != nil {
		return nil, token, &tokenError{err}
	}
	if c.refused.cause != nil && token.Access == c.refused.access {
		return nil, token, c.refused.cause
	}
	w, err := dialWire(ctx, c.at, c.options.TLS)
	if err != nil {
		return nil, token, fmt.Errorf("dial %s: %w", c.at.Host, err)
	}
	stop := context.AfterFunc(c.ctx, w.close)
	defer stop()
	var resume *edgev1.Resume
	if c.session.id != "" && time.Since(c.session.cut) < c.session.window {
		resume = &edgev1.Resume{SessionId: c.session.id, Received: c.session.received}
	}
	l, err := signIn(w, c.options, token.Access, resume)
	c.refused = refusal{}
	if bye, ok := errors.AsType[*GoodbyeError](err); ok && bye.tokenRefused() {
		c.refused = refusal{token.Access, &tokenError{err}} // the same one again would end alike
	}
	return l, token, err
}

// tokenError is a failure to get a token that the server takes.
type tokenError struct{ cause error }

func (e *tokenError) Error() string { return "no good token: " + e.cause.Error() }

func (e *tokenError) Unwrap() error { return e.cause }

// down notes that there is no link.
func (c *Conn) down(err error) {
	c.mu.Lock()
	if c.link != nil {
		c.link, c.up = nil, make(chan struct{})
	}
	c.last = err
	c.mu.Unlock()
	c.queue.status(Status{Err: err})
}

// back returns when to come back after a failure, and whether to come back at all.
func (c *Conn) back(err error, failures int) (wait time.Duration, ok bool) {
	wait = rand.N(min(c.options.BackoffMax, c.options.BackoffMin<<min(failures, 16)) + 1)
	if _, ok := errors.AsType[*tokenError](err); ok {
		code := connect.CodeOf(err)
		return wait, code != connect.CodeUnauthenticated && code != connect.CodePermissionDenied
	}
	bye, ok := errors.AsType[*GoodbyeError](err)
	if !ok {
		return wait, true
	}
	if bye.Reconnect < 0 {
		// A fresh token is to be had without anybody's doing.
		return wait, bye.Reason == edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED
	}
	if failures == 0 {
		return bye.Reconnect, true
	}
	return max(wait, bye.Reconnect), true
}

// tell calls the callbacks.
func (c *Conn) tell() {
	for {
		it, ok := c.queue.next(c.ctx)
		if !ok {
			return
		}
		switch {
		case it.act != nil:
			it.act()
		case it.sync != nil && c.options.OnSync != nil:
			c.options.OnSync(it.sync)
		case it.status != nil && c.options.OnStatus != nil:
			c.options.OnStatus(*it.status)
		case it.events != nil && c.options.OnEvents != nil:
			c.options.OnEvents(it.events)
		}
	}
}
