package ingest

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// TestGatheringDoesNotBoundThroughput reads a stream that is always ahead of the reader: there must be no pause, which
// would last an hour here.
func TestGatheringDoesNotBoundThroughput(t *testing.T) {
	video := append([]byte{6, 0, 0, 0, 0, 0, 100, typeVideo, 1, 0, 0, 0}, make([]byte, 100)...)
	stream := bytes.Repeat(video, 100_000)
	g := newGuard(tape{bytes.NewReader(stream)}, Config{Gather: time.Hour}.withDefaults())
	g.handshake, g.parser.publishing = 0, true
	whole := len(stream) / readSize * readSize // the last, partial read is one that drained
	if _, err := io.CopyN(io.Discard, g, int64(whole-maxMediaSize/readSize)); err != nil {
		t.Fatal(err)
	}
}
