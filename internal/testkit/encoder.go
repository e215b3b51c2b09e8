package testkit

import (
	"testing"

	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/lalset"
)

// Publish connects an encoder that sends nothing, and disconnects it after the test.
func (s *Server) Publish(t testing.TB, rtmpURL, streamKey string) {
	t.Helper()
	lalset.Apply()
	encoder := rtmp.NewPushSession()
	if err := encoder.Push(rtmpURL + "/" + streamKey); err != nil {
		t.Fatalf("publish: %v", err)
	}
	t.Cleanup(func() { _ = encoder.Dispose() })
}
