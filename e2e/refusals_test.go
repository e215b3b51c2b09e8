package e2e_test

import (
	"testing"
	"time"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// TestRefusals pushes where it is not allowed. The streamer reads why in the encoder, and nobody else is disturbed.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	room := s.signUp("streamer").openRoom()
	first := room.issueKey()

	refused(t, encoding{}.push(t, "rtmp://"+s.rtmpAddr+"/live/sk_UNKNOWNUNKNOWNUNKNOWNUNKNO"), "unknown or was revoked")
	refused(t, encoding{}.push(t, "rtmp://"+s.rtmpAddr+"/live/../../etc/passwd"), "Unknown application")
	refused(t, encoding{}.push(t, "rtmp://"+s.rtmpAddr+"/vod/"+"sk_x"), "Unknown application")
	if b := room.get().GetBroadcast(); b != nil {
		t.Fatalf("refused encoders made the broadcast %v", b)
	}

	encoder := encoding{}.push(t, first)
	on := room.until(live)
	viewer := watchWebSocket(t, on.GetPlayback().GetWsFlvUrl())
	at := viewer.advances(0)
	refused(t, encoding{}.push(t, first), "Another encoder")
	viewer.advances(at + time.Second)
	encoder.running()

	// A new key revokes the one before, even under a running encoder.
	second := room.issueKey()
	refused(t, encoder, "")
	room.until(interrupted)
	refused(t, encoding{}.push(t, first), "unknown or was revoked")
	encoder = encoding{}.push(t, second)
	if id := room.until(live).GetBroadcast().GetId(); id != on.GetBroadcast().GetId() {
		t.Errorf("with the new key the broadcast is %s, want %s", id, on.GetBroadcast().GetId())
	}
	viewer.advances(viewer.latest() + time.Second)
	viewer.continuous()

	// What a person ends, an encoder that reconnects by itself does not undo.
	_, err := room.owner.live.EndBroadcast(within(t), &livev1.EndBroadcastRequest{RoomId: room.id})
	must(t, err)
	refused(t, encoder, "")
	viewer.endsCleanly()
	refused(t, encoding{}.push(t, second), "The broadcast was just ended")
	if state := room.get().GetBroadcast().GetState(); state != ended {
		t.Errorf("the broadcast is %v", state)
	}

	_, err = room.owner.live.RevokeStreamKey(within(t), &livev1.RevokeStreamKeyRequest{RoomId: room.id})
	must(t, err)
	refused(t, encoding{}.push(t, second), "unknown or was revoked")
}
