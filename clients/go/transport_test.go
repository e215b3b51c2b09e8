package stoa_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// line is one socket.
type line struct {
	conn net.Conn
	out  chan *edgev1.ServerFrame
	done chan struct{}
	once sync.Once
}

func (l *line) closed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *line) close() { l.once.Do(func() { close(l.done); _ = l.conn.Close() }) }

// certificate is one for the loopback, and its root.
func certificate(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s
}

// transport shakes hands and returns how frames are read and written.
func (e *edge) transport(conn net.Conn) (read func() ([]byte, error), write func([]byte) error, err error) {
	if strings.HasPrefix(e.scheme, "ws") {
		upgrader := ws.Upgrader{Protocol: func(p []byte) bool { return string(p) == "stoa.edge.v1" }}
		if _, err := upgrader.Upgrade(conn); err != nil {
			return nil, nil, err
		}
		return func() ([]byte, error) {
				for {
					data, op, err := wsutil.ReadClientData(conn)
					if err != nil || op == ws.OpBinary {
						return data, err
					}
				}
			}, func(data []byte) error {
				if len(data) < 2 {
					return wsutil.WriteServerBinary(conn, data)
				}
				// In two pieces, with a ping between them: both are allowed.
				err := ws.WriteFrame(conn, ws.NewFrame(ws.OpBinary, false, data[:1]))
				return errors.Join(err, ws.WriteFrame(conn, ws.NewPingFrame([]byte("?"))),
					ws.WriteFrame(conn, ws.NewFrame(ws.OpContinuation, true, data[1:])))
			}, nil
	}
	in := bufio.NewReader(conn)
	preface := make([]byte, 5)
	if _, err := io.ReadFull(in, preface); err != nil {
		return nil, nil, err
	}
	if string(preface) != "STOA\x01" {
		e.t.Errorf("the preface is %q", preface)
	}
	return func() ([]byte, error) {
			size, err := binary.ReadUvarint(in)
			if err != nil {
				return nil, err
			}
			data := make([]byte, size)
			_, err = io.ReadFull(in, data)
			return data, err
		}, func(data []byte) error {
			_, err := conn.Write(append(binary.AppendUvarint(nil, uint64(len(data))), data...))
			return err
		}, nil
}

// transports runs a test over each.
func transports(t *testing.T, test func(t *testing.T, e *edge)) {
	for _, scheme := range []string{"ws", "tcp"} {
		t.Run(strings.ToUpper(scheme), func(t *testing.T) { test(t, newEdge(t, scheme)) })
	}
}
