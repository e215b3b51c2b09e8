package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// defaultClientTimeout is ClientTimeout where Config has none.
const defaultClientTimeout = 30 * time.Second

// errSlowBody says that the client, and nobody behind us, was too slow.
var errSlowBody = errors.New("the body did not come in time")

// pace is what the client timeout means for a request.
type pace struct {
	whole  bool // the whole body must come within it, else each part
	answer bool // each part of the answer must be taken within it, else the handler sees to that
}

// paces returns the pace of each RPC whose contract is known here. Only it tells gRPC's unary calls from streams.
func paces(services []string) map[string]pace {
	known := make(map[string]pace)
	for _, name := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			continue
		}
		service, ok := d.(protoreflect.ServiceDescriptor)
		if !ok {
			continue
		}
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			known["/"+name+"/"+string(m.Name())] = pace{whole: !m.IsStreamingClient(), answer: !m.IsStreamingServer()}
		}
	}
	return known
}

func (g *Gateway) paceOf(r *http.Request) pace {
	if strings.HasPrefix(r.URL.Path, livePath) { // has its own deadlines, and takes no bodies
		return pace{whole: true}
	}
	if p, ok := g.paces[r.URL.Path]; ok {
		return p
	}
	stream := r.Method == http.MethodPost && framed(r)
	return pace{whole: !stream, answer: !stream}
}

// hurry cuts clients that send or take too slowly. It comes before everything that may refuse a request, because
// net/http reads what is left of a body before it answers. On a kept connection the next request finds none of these
// deadlines: net/http sets its own between two requests of HTTP/1.1, and in HTTP/2 they belong to the stream.
func (g *Gateway) hurry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := g.paceOf(r)
		if reply, ok := w.(*reply); ok && p.answer {
			reply.timeout = g.config.ClientTimeout
		}
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{ReadCloser: r.Body, control: http.NewResponseController(w), timeout: g.config.ClientTimeout, whole: p.whole}
		_ = b.control.SetReadDeadline(time.Now().Add(b.timeout)) // a transport without deadlines is a test's
		defer b.leave()
		r.Body = b
		next.ServeHTTP(w, r)
	})
}

// body is a request's body under a deadline.
type body struct {
	io.ReadCloser

	control *http.ResponseController
	timeout time.Duration
	whole   bool

	mu   sync.Mutex
	done bool // the deadline is not ours any more
}

// Read implements io.Reader. It is not called again after the end, of which http.MaxBytesReader takes care: net/http then
// waits for the client to go, which may last as long as the answer.
func (b *body) Read(p []byte) (int, error) {
	if !b.whole {
		b.extend()
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: %w", errSlowBody, err)
	}
	return n, err
}

func (b *body) extend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		_ = b.control.SetReadDeadline(time.Now().Add(b.timeout))
	}
}

// leave keeps hands off the connection: a proxy may read a body for a moment after the handler has returned.
func (b *body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
}
