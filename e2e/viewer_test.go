package e2e_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// FLV tag types (FLV 10.1, annex E.4.1).
const (
	tagAudio = 8
	tagVideo = 9
)

// tag is one FLV tag as a viewer got it.
type tag struct {
	kind   byte
	at     time.Duration // on the stream's clock
	key    bool          // a picture that needs no other
	config bool          // a decoder configuration
}

// viewer watches FLV and keeps the tags it got.
type viewer struct {
	t      *testing.T
	name   string
	closer io.Closer
	done   chan struct{}

	mu   sync.Mutex
	tags []tag
	err  error // how the connection ended; io.EOF for a clean end
}

// watchHTTP opens HTTP-FLV.
func watchHTTP(t *testing.T, client *http.Client, address string) *viewer {
	t.Helper()
	body, err := openHTTP(t.Context(), client, address)
	must(t, err)
	return newViewer(t, "HTTP-FLV", body, body)
}

// openHTTP returns the endless body of an HTTP-FLV address.
func openHTTP(ctx context.Context, client *http.Client, address string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp.Body, nil
}

// watchWebSocket opens WebSocket-FLV.
func watchWebSocket(t *testing.T, address string) *viewer {
	t.Helper()
	r := openWebSocket(t, address)
	return newViewer(t, "WebSocket-FLV", r, r.conn)
}

// messages reads the payloads of a WebSocket's binary messages as one stream.
type messages struct {
	conn net.Conn
	rw   io.ReadWriter
	rest []byte
}

func openWebSocket(t *testing.T, address string) *messages {
	t.Helper()
	conn, early, _, err := ws.Dial(within(t), address)
	if err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if early == nil {
		early = bufio.NewReader(conn) // nothing came with the handshake
	}
	return &messages{conn: conn, rw: struct {
		io.Reader
		io.Writer
	}{early, conn}}
}

// Read implements io.Reader. The end is a wsutil.ClosedError where the server said farewell.
func (m *messages) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		payload, op, err := wsutil.ReadServerData(m.rw)
		if err != nil {
			return 0, err
		}
		if op != ws.OpBinary {
			return 0, fmt.Errorf("the message is %v, not binary", op)
		}
		m.rest = payload
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func newViewer(t *testing.T, name string, r io.Reader, closer io.Closer) *viewer {
	v := &viewer{t: t, name: name, closer: closer, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		err := readTags(bufio.NewReader(r), func(kind byte, ms uint32, payload []byte) error {
			v.add(kind, time.Duration(ms)*time.Millisecond, payload)
			return nil
		})
		v.mu.Lock()
		defer v.mu.Unlock()
		v.err = err
	}()
	t.Cleanup(v.leave)
	return v
}

// leave hangs up.
func (v *viewer) leave() {
	_ = v.closer.Close()
	<-v.done
}

// readTags calls fn with every tag of an FLV stream until that ends or fn returns an error.
func readTags(r io.Reader, fn func(kind byte, ms uint32, payload []byte) error) error {
	header := make([]byte, 9+4)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	if string(header[:3]) != "FLV" {
		return fmt.Errorf("the stream starts with %q", header[:3])
	}
	for {
		head := make([]byte, 11)
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint32(head) & 0xFFFFFF)
		payload := make([]byte, size+4)
		if _, err := io.ReadFull(r, payload); err != nil {
			return fmt.Errorf("inside a tag: %w", err)
		}
		if back := binary.BigEndian.Uint32(payload[size:]); int(back) != size+len(head) {
			return fmt.Errorf("a tag of %d bytes is followed by the size %d", size+len(head), back)
		}
		ms := uint32(head[7])<<24 | binary.BigEndian.Uint32(head[3:])&0xFFFFFF
		if err := fn(head[0], ms, payload[:size]); err != nil {
			return err
		}
	}
}

func (v *viewer) add(kind byte, at time.Duration, payload []byte) {
	if (kind != tagAudio && kind != tagVideo) || len(payload) < 2 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	// The second byte is the AVC or AAC packet type, 0 for a configuration.
	config := payload[1] == 0
	v.tags = append(v.tags, tag{kind: kind, at: at, config: config, key: kind == tagVideo && payload[0]>>4 == 1 && !config})
}

// media returns the frames so far, without configurations.
func (v *viewer) media() []tag {
	v.mu.Lock()
	defer v.mu.Unlock()
	var media []tag
	for _, tag := range v.tags {
		if !tag.config {
			media = append(media, tag)
		}
	}
	return media
}

// latest returns the stream's clock as the viewer sees it.
func (v *viewer) latest() time.Duration {
	media := v.media()
	if len(media) == 0 {
		return 0
	}
	return media[len(media)-1].at
}

// connected fails the test where the connection has ended.
func (v *viewer) connected() {
	v.t.Helper()
	select {
	case <-v.done:
		v.t.Fatalf("the connection of a %s viewer was closed: %v", v.name, v.err)
	default:
	}
}

// advances waits until the stream's clock passed a time, on the same connection, and returns it.
func (v *viewer) advances(past time.Duration) time.Duration {
	v.t.Helper()
	eventually(v.t, fmt.Sprintf("the %s viewer's clock passes %v", v.name, past), func() error {
		v.connected()
		if at := v.latest(); at <= past {
			return fmt.Errorf("it is at %v", at)
		}
		return nil
	})
	return v.latest()
}

// continuous checks that each track's clock never goes back, and that the stream never leaps by more than a few seconds.
func (v *viewer) continuous() {
	v.t.Helper()
	const leap = 3 * time.Second
	last := map[byte]time.Duration{}
	latest := time.Duration(-1)
	for i, tag := range v.media() {
		if before, ok := last[tag.kind]; ok && tag.at < before {
			v.t.Errorf("%s: frame %d (type %d) at %v comes after one at %v", v.name, i, tag.kind, tag.at, before)
		}
		if latest >= 0 && tag.at-latest > leap {
			v.t.Errorf("%s: frame %d leaps from %v to %v", v.name, i, latest, tag.at)
		}
		last[tag.kind] = tag.at
		latest = max(latest, tag.at)
	}
}

// ends waits until the server closes the connection and returns how.
func (v *viewer) ends() error {
	v.t.Helper()
	select {
	case <-v.done:
		return v.err
	case <-time.After(patience):
		v.t.Fatalf("the connection of a %s viewer was not closed", v.name)
		return nil
	}
}

// endsCleanly waits until the server closes the connection, and checks that it does so between frames, a WebSocket with
// the farewell that its protocol asks for.
func (v *viewer) endsCleanly() {
	v.t.Helper()
	err := v.ends()
	var closed wsutil.ClosedError
	switch {
	case errors.Is(err, io.EOF) && v.name != "WebSocket-FLV":
	case errors.As(err, &closed) && closed.Code == ws.StatusNormalClosure:
	default:
		v.t.Errorf("the connection of a %s viewer ended with %v", v.name, err)
	}
}
