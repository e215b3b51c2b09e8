//go:build unix

package live_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live"
)

var (
	red   = color.RGBA{255, 0, 0, 255}
	green = color.RGBA{0, 255, 0, 255}
	blue  = color.RGBA{0, 0, 255, 255}
)

// Modes of covers, short.
const (
	automatic = livev1.CoverMode_COVER_MODE_AUTOMATIC
	own       = livev1.CoverMode_COVER_MODE_OWN
	takenDown = livev1.CoverMode_COVER_MODE_TAKEN_DOWN
)

func (n *node) setCover(owner string, r *livev1.SetCoverRequest) (*livev1.Room, error) {
	n.t.Helper()
	res, err := n.as(owner).SetCover(n.t.Context(), r)
	return res.GetRoom(), err
}

func (n *node) upload(owner, roomID string, data []byte) (*livev1.Room, error) {
	n.t.Helper()
	return n.setCover(owner, &livev1.SetCoverRequest{RoomId: roomID, Source: &livev1.SetCoverRequest_Image{Image: data}})
}

func (n *node) keepSnapshot(owner, roomID string) (*livev1.Room, error) {
	n.t.Helper()
	return n.setCover(owner, &livev1.SetCoverRequest{RoomId: roomID, Source: &livev1.SetCoverRequest_Snapshot{Snapshot: true}})
}

func (n *node) goAutomatic(owner, roomID string) (*livev1.Room, error) {
	n.t.Helper()
	return n.setCover(owner, &livev1.SetCoverRequest{RoomId: roomID, Source: &livev1.SetCoverRequest_Automatic{Automatic: true}})
}

func (n *node) takeDown(roomID string) *livev1.Room {
	n.t.Helper()
	res, err := n.control(n.AsService("admin")).TakeDownCover(n.t.Context(), &livev1.TakeDownCoverRequest{RoomId: roomID})
	n.must(err)
	return res.GetRoom()
}

// fetch gets an address of the node.
func (n *node) fetch(address string) (status int, header http.Header, body []byte) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.server.URL()+address, nil)
	n.must(err)
	res, err := n.server.Client().Do(r)
	n.must(err)
	defer res.Body.Close() //nolint:errcheck // a test
	body, err = io.ReadAll(res.Body)
	n.must(err)
	return res.StatusCode, res.Header, body
}

// picture returns what is at a cover's address.
func (n *node) picture(address string) image.Image {
	n.t.Helper()
	status, header, body := n.fetch(address)
	if status != http.StatusOK || header.Get("Content-Type") != "image/jpeg" {
		n.t.Fatalf("%q is answered with %d, %q", address, status, header.Get("Content-Type"))
	}
	m, err := jpeg.Decode(bytes.NewReader(body))
	n.must(err)
	return m
}

// gone checks that there is nothing at a cover's address.
func (n *node) gone(address string) {
	n.t.Helper()
	if status, _, body := n.fetch(address); status != http.StatusNotFound || !bytes.Contains(body, []byte("NOT_FOUND")) {
		n.t.Errorf("%q is answered with %d, %.100q", address, status, body)
	}
}

// covered waits until a room shows a cover of a colour.
func (n *node) covered(roomID, want string) (room *livev1.Room) {
	n.t.Helper()
	n.eventually("the cover is "+want, func() bool {
		room = n.get(roomID).GetRoom()
		return room.GetCoverUrl() != "" && colour(n.picture(room.GetCoverUrl())) == want
	})
	return room
}

// often makes snapshots come one after the other.
func often(c *live.Config) { c.CoverInterval = 20 * time.Millisecond }

// plays sends pictures until the test has ended, so that there is always a new keyframe.
func (n *node) plays(e *encoder) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-tick.C:
				e.media()
			case <-done:
				return
			}
		}
	}()
	n.t.Cleanup(func() { tick.Stop(); close(done); <-stopped })
}

func TestSnapshotsAreCovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDecoder()
	d.shows(w.plain(red, 64, 36))
	n := w.boot(func(c *live.Config) { d.use(c); often(c) })
	room := n.open("ann")
	if room.GetCoverMode() != automatic || room.GetCoverUrl() != "" {
		t.Errorf("a new room has the cover %q, %v", room.GetCoverUrl(), room.GetCoverMode())
	}
	n.gone("/live/covers/" + room.GetId() + ".jpg")
	n.plays(n.live(room.GetId(), n.key("ann", room.GetId())))
	first := n.covered(room.GetId(), "red")
	if first.GetCoverMode() != automatic || !strings.HasPrefix(first.GetCoverUrl(), "/live/covers/"+room.GetId()+".jpg?v=") {
		t.Errorf("the cover is %q, %v", first.GetCoverUrl(), first.GetCoverMode())
	}
	d.shows(w.plain(green, 64, 36))
	n.covered(room.GetId(), "green")
	// The picture is there before its address is, never the other way round: whoever has the new address gets it.
	n.eventually("another picture has another address", func() bool { return n.get(room.GetId()).GetRoom().GetCoverUrl() != first.GetCoverUrl() })
	n.covered(room.GetId(), "green")
	list, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{})
	n.must(err)
	if got := list.GetItems()[0].GetRoom(); got.GetCoverUrl() == "" || got.GetCoverMode() != automatic {
		t.Errorf("it is listed with the cover %q, %v", got.GetCoverUrl(), got.GetCoverMode())
	}
	for _, address := range []string{"/live/covers/", "/live/covers/x.jpg", "/live/covers/" + room.GetId(), "/live/covers/" + room.GetId() + ".png"} {
		n.gone(address)
	}
}

func TestOwnCovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDecoder()
	d.shows(w.plain(red, 64, 36))
	n := w.boot(func(c *live.Config) { d.use(c); often(c) })
	room := n.open("ann")
	id := room.GetId()
	if _, err := n.keepSnapshot("ann", id); !errs.Is(err, connect.CodeFailedPrecondition, "NO_SNAPSHOT") {
		t.Errorf("keeping a snapshot where there is none: %v", err)
	}
	for name, data := range map[string][]byte{"text": []byte("no picture"), "half a picture": w.plain(blue, 640, 360)[:400]} {
		if _, err := n.upload("ann", id, data); !errs.Is(err, connect.CodeInvalidArgument, "IMAGE_INVALID") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{"nothing": nil, "too much": make([]byte, 716801)} {
		if _, err := n.upload("ann", id, data); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := n.setCover("ann", &livev1.SetCoverRequest{RoomId: id}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("no source: %v", err)
	}
	if got := n.get(id).GetRoom(); got.GetCoverUrl() != "" || got.GetCoverMode() != automatic {
		t.Errorf("after refused covers it is %q, %v", got.GetCoverUrl(), got.GetCoverMode())
	}

	changed, err := n.upload("ann", id, w.plain(blue, 1600, 400))
	n.must(err)
	if m := n.picture(changed.GetCoverUrl()); changed.GetCoverMode() != own || colour(m) != "blue" || m.Bounds().Size() != image.Pt(1280, 320) {
		t.Errorf("the room is %v with a picture of %v", changed, m.Bounds())
	}
	// Snapshots are kept beside it and do not replace it.
	n.plays(n.live(id, n.key("ann", id)))
	n.eventually("a snapshot is there", func() bool {
		files, err := os.ReadDir(filepath.Join(w.dataDir, "snapshots"))
		n.must(err)
		return len(files) > 0
	})
	if got := n.get(id).GetRoom(); got.GetCoverUrl() != changed.GetCoverUrl() || colour(n.picture(got.GetCoverUrl())) != "blue" {
		t.Errorf("a snapshot replaced the owner's cover: %v", got)
	}
	kept, err := n.keepSnapshot("ann", id)
	n.must(err)
	if kept.GetCoverMode() != own || colour(n.picture(kept.GetCoverUrl())) != "red" || kept.GetCoverUrl() == changed.GetCoverUrl() {
		t.Errorf("the kept snapshot: %v", kept)
	}
	d.shows(w.plain(green, 64, 36))
	back, err := n.goAutomatic("ann", id)
	n.must(err)
	if back.GetCoverMode() != automatic || back.GetCoverUrl() == "" {
		t.Errorf("back to snapshots: %v", back)
	}
	n.covered(id, "green")
	kept, err = n.keepSnapshot("ann", id)
	n.must(err)
	d.shows(w.plain(red, 64, 36))
	n.endBroadcast("ann", id)
	if got := n.get(id).GetRoom(); got.GetCoverMode() != own || got.GetCoverUrl() != kept.GetCoverUrl() || colour(n.picture(got.GetCoverUrl())) != "green" {
		t.Errorf("the kept snapshot is now %v", got)
	}
	n.must(n.end())
	n = w.boot(nil)
	if got := n.get(id).GetRoom(); got.GetCoverMode() != own || colour(n.picture(got.GetCoverUrl())) != "green" {
		t.Errorf("after a restart: %v", got)
	}
}

// TestAutomaticCoverIsFresh: whoever goes back to snapshots need not wait for the interval.
func TestAutomaticCoverIsFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDecoder()
	d.shows(w.plain(red, 64, 36))
	n := w.boot(d.use) // a snapshot a minute
	room := n.open("ann")
	n.plays(n.live(room.GetId(), n.key("ann", room.GetId())))
	n.covered(room.GetId(), "red")
	_, err := n.upload("ann", room.GetId(), w.plain(blue, 64, 36))
	n.must(err)
	d.shows(w.plain(green, 64, 36))
	back, err := n.goAutomatic("ann", room.GetId())
	n.must(err)
	if back.GetCoverUrl() == "" {
		t.Error("there is no cover meanwhile")
	}
	n.covered(room.GetId(), "green")

	// Without any snapshot there is none until the first comes.
	other := n.open("bob")
	_, err = n.upload("bob", other.GetId(), w.plain(blue, 64, 36))
	n.must(err)
	address := n.get(other.GetId()).GetRoom().GetCoverUrl()
	back, err = n.goAutomatic("bob", other.GetId())
	n.must(err)
	if back.GetCoverUrl() != "" || back.GetCoverMode() != automatic {
		t.Errorf("without a snapshot the cover is %q", back.GetCoverUrl())
	}
	n.gone(address)
}

func TestUploadsAreLimited(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room, other, another := n.open("ann"), n.open("ann"), n.open("bob")
	small := n.plain(blue, 4, 4)
	var err error
	taken := 0
	for ; taken < 50 && err == nil; taken++ {
		_, err = n.upload("ann", room.GetId(), small)
	}
	if !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) || errs.Metadata(err)["retry_after_ms"] == "" || taken < 4 || taken > 20 {
		t.Errorf("upload %d: %v", taken, err)
	}
	if _, err := n.upload("ann", other.GetId(), small); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
		t.Errorf("in another room of the same owner: %v", err)
	}
	if _, err := n.upload("bob", room.GetId(), small); !errs.Is(err, connect.CodePermissionDenied, "NOT_ROOM_OWNER") {
		t.Errorf("in another's room: %v", err)
	}
	if _, err := n.upload("bob", another.GetId(), small); err != nil {
		t.Errorf("another owner: %v", err)
	}
	n.ahead.Add(int64(time.Minute))
	if _, err := n.upload("ann", room.GetId(), small); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	// The largest that the contract takes passes the house's limits on messages.
	if _, err := n.upload("bob", another.GetId(), append(small, make([]byte, 716_800-len(small))...)); err != nil {
		t.Errorf("700 KiB: %v", err)
	}
}

// TestChoosingSnapshotsIsLimited: by limits of its own, so that uploads are left.
func TestChoosingSnapshotsIsLimited(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	for owner, choose := range map[string]func(owner, roomID string) (*livev1.Room, error){"ann": n.keepSnapshot, "bob": n.goAutomatic} {
		room, other := n.open(owner), n.open(owner)
		var err error
		taken := 0
		for ; taken < 100 && !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited); taken++ {
			_, err = choose(owner, room.GetId())
		}
		if errs.Metadata(err)["retry_after_ms"] == "" || taken < 6 || taken > 40 {
			t.Errorf("%s: choice %d: %v", owner, taken, err)
		}
		if _, err := n.goAutomatic(owner, other.GetId()); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
			t.Errorf("%s: in another room: %v", owner, err)
		}
		if _, err := n.upload(owner, room.GetId(), n.plain(blue, 4, 4)); err != nil {
			t.Errorf("%s: an upload: %v", owner, err)
		}
	}
	n.ahead.Add(int64(time.Minute))
	if _, err := n.goAutomatic("bob", n.open("bob").GetId()); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestTakenDownCovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDecoder()
	d.shows(w.plain(red, 64, 36))
	n := w.boot(func(c *live.Config) { d.use(c); often(c) })
	room := n.open("ann")
	id, key := room.GetId(), n.key("ann", room.GetId())
	// files are those that hold a picture of the room.
	files := func() (names []string) {
		n.must(filepath.WalkDir(w.dataDir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasPrefix(entry.Name(), id) {
				names = append(names, path)
			}
			return err
		}))
		return names
	}
	isDown := func(when, address string) {
		t.Helper()
		if got := n.get(id).GetRoom(); got.GetCoverMode() != takenDown || got.GetCoverUrl() != "" {
			t.Errorf("%s the cover is %q, %v", when, got.GetCoverUrl(), got.GetCoverMode())
		}
		n.gone(address)
		if left := files(); len(left) > 0 {
			t.Errorf("%s there are %q", when, left)
		}
		for source, set := range map[string]func() (*livev1.Room, error){
			"an image":  func() (*livev1.Room, error) { return n.upload("ann", id, w.plain(blue, 4, 4)) },
			"snapshot":  func() (*livev1.Room, error) { return n.keepSnapshot("ann", id) },
			"automatic": func() (*livev1.Room, error) { return n.goAutomatic("ann", id) },
		} {
			if _, err := set(); !errs.Is(err, connect.CodeFailedPrecondition, "COVER_TAKEN_DOWN") {
				t.Errorf("%s: %s: %v", when, source, err)
			}
		}
	}
	n.plays(n.live(id, key))
	first := n.covered(id, "red")
	if got := n.takeDown(id); got.GetCoverMode() != takenDown || got.GetCoverUrl() != "" || got.GetOwner().GetNickname() == "" {
		t.Errorf("TakeDownCover: %v", got)
	}
	isDown("at once", first.GetCoverUrl())
	// Another room's next snapshots show that this one's would have come by now.
	other := n.open("bob")
	n.plays(n.live(other.GetId(), n.key("bob", other.GetId())))
	n.covered(other.GetId(), "red")
	d.shows(w.plain(green, 64, 36))
	n.covered(other.GetId(), "green")
	isDown("on the air", first.GetCoverUrl())
	n.endBroadcast("ann", id)
	isDown("after the broadcast", first.GetCoverUrl())
	n.must(n.end())
	n = w.boot(func(c *live.Config) { d.use(c); often(c) })
	isDown("after a restart", first.GetCoverUrl())

	n.live(id, key)
	if got := n.covered(id, "green"); got.GetCoverMode() != automatic {
		t.Errorf("in the next broadcast: %v", got)
	}
	changed, err := n.upload("ann", id, w.plain(blue, 4, 4))
	n.must(err)
	n.takeDown(id) // twice is as good
	n.takeDown(id)
	isDown("an own cover", changed.GetCoverUrl())
}
