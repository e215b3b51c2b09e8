package live_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/live"
)

func TestOneEncoderAKey(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	if _, err := n.push(key); err == nil || !strings.Contains(err.Error(), "Another encoder is using this stream key.") {
		t.Errorf("a second encoder is told %v", err)
	}
	for name, wrong := range map[string]string{"unknown": "sk_AAAAAAAAAAAAAAAAAAAAAAAAAA", "another case": string(bytes.ToLower([]byte(key))), "the room's id": room.GetId()} {
		if _, err := n.push(wrong); err == nil || !strings.Contains(err.Error(), "The stream key is unknown or was revoked.") {
			t.Errorf("a key that is %s: the encoder is told %v", name, err)
		}
	}
	e.media()
	if got := n.told(room.GetId()); !slices.Equal(got, []livev1.BroadcastState{starting, onAir}) {
		t.Errorf("refused encoders change the broadcast: %v", got)
	}
}

func TestRotatedKeysCutTheEncoder(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	old := n.key("ann", room.GetId())
	e := n.live(room.GetId(), old)
	b := n.get(room.GetId()).GetBroadcast()

	fresh := n.key("ann", room.GetId())
	e.wasCut()
	n.until(room.GetId(), interrupted)
	if _, err := n.push(old); err == nil {
		t.Error("the former key still publishes")
	}
	e = n.live(room.GetId(), fresh)
	if got := n.get(room.GetId()).GetBroadcast(); got.GetId() != b.GetId() {
		t.Errorf("the new key made another broadcast: %v", got)
	}

	_, err := n.as("ann").RevokeStreamKey(t.Context(), &livev1.RevokeStreamKeyRequest{RoomId: room.GetId()})
	n.must(err)
	e.wasCut()
	n.until(room.GetId(), interrupted)
	for _, key := range []string{old, fresh, ""} {
		if _, err := n.push(key); err == nil {
			t.Errorf("the revoked key %q publishes", key)
		}
	}
	_, err = n.as("ann").RevokeStreamKey(t.Context(), &livev1.RevokeStreamKeyRequest{RoomId: room.GetId()})
	n.must(err) // again: as good
}

// TestRevocationRacesPublish: whichever comes first, nobody stays on the air with a key that is gone.
func TestRevocationRacesPublish(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	for range 10 {
		key := n.key("ann", room.GetId())
		var both sync.WaitGroup
		var e *encoder
		both.Go(func() { e, _ = n.push(key) })
		both.Go(func() {
			if _, err := n.as("ann").RevokeStreamKey(t.Context(), &livev1.RevokeStreamKeyRequest{RoomId: room.GetId()}); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if e != nil {
			e.wasCut()
		}
	}
	n.eventually("nothing runs", func() bool {
		b := n.get(room.GetId()).GetBroadcast()
		return b == nil || b.GetState() == ended
	})
}

// shown returns the room's stream key as its owner sees it, or the error.
func (n *node) shown(owner, roomID string) (*livev1.GetStreamKeyResponse, error) {
	n.t.Helper()
	return n.as(owner).GetStreamKey(n.t.Context(), &livev1.GetStreamKeyRequest{RoomId: roomID})
}

func TestStreamKeysCanBeShownAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room, other := n.open("ann"), n.open("ann")
	none := func(when string) {
		t.Helper()
		if _, err := n.shown("ann", room.GetId()); !errs.Is(err, connect.CodeFailedPrecondition, "NO_STREAM_KEY") {
			t.Errorf("%s: %v", when, err)
		}
	}
	is := func(when, key string) {
		t.Helper()
		if got, err := n.shown("ann", room.GetId()); err != nil || got.GetStreamKey() != key || !strings.HasPrefix(got.GetRtmpUrl(), "rtmp://localhost:") {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	none("before the first")
	n.key("ann", room.GetId())
	key := n.key("ann", room.GetId())
	is("the current one", key)
	if otherKey := n.key("ann", other.GetId()); otherKey == key {
		t.Error("two rooms have one key")
	}
	is("after another room got one", key)
	n.must(n.end())
	n = w.boot(nil)
	is("after a restart", key)
	n.live(room.GetId(), key)

	// The database alone shows no key, and what is sealed for one room does not open for another.
	db := storetest.OpenAt(t, w.storeURL, "live", live.Migrations)
	rows, err := db.Read.QueryContext(t.Context(), "SELECT * FROM rooms")
	n.must(err)
	defer rows.Close() //nolint:errcheck // a test
	columns, err := rows.Columns()
	n.must(err)
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new([]byte)
		}
		n.must(rows.Scan(values...))
		for i, v := range values {
			if b, _ := v.(*[]byte); bytes.Contains(*b, []byte(key)) {
				t.Errorf("column %s holds the key", columns[i])
			}
		}
	}
	n.must(rows.Err())
	_, err = db.Write.ExecContext(t.Context(), "UPDATE rooms SET key_sealed = (SELECT key_sealed FROM rooms WHERE id = ?) WHERE id = ?", other.GetId(), room.GetId())
	n.must(err)
	none("another room's")

	fresh := n.key("ann", room.GetId())
	is("a new one", fresh)
	_, err = n.as("ann").RevokeStreamKey(t.Context(), &livev1.RevokeStreamKeyRequest{RoomId: room.GetId()})
	n.must(err)
	none("after it was revoked")
}

// TestKeysOfBefore: a key of which only the hash was kept, or that was sealed by another play key, still opens its
// room.
func TestKeysOfBefore(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]func(t *testing.T, w *world, config *live.Config){
		"only a hash": func(t *testing.T, w *world, _ *live.Config) {
			db := storetest.OpenAt(t, w.storeURL, "live", live.Migrations)
			_, err := db.Write.ExecContext(t.Context(), "UPDATE rooms SET key_sealed = NULL")
			w.must(err)
		},
		"another play key": func(_ *testing.T, _ *world, config *live.Config) { config.PlayKey = []byte(strings.Repeat("l", 32)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(nil)
			room := n.open("ann")
			key := n.key("ann", room.GetId())
			n.must(n.end())
			n = w.boot(func(c *live.Config) { age(t, w, c) })
			if _, err := n.shown("ann", room.GetId()); !errs.Is(err, connect.CodeFailedPrecondition, "NO_STREAM_KEY") {
				t.Errorf("it is shown: %v", err)
			}
			n.live(room.GetId(), key)
			key = n.key("ann", room.GetId())
			if got, err := n.shown("ann", room.GetId()); err != nil || got.GetStreamKey() != key {
				t.Errorf("the new one: %v, %v", got, err)
			}
		})
	}
}
