package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stoa-live/stoa/internal/picture"
	"github.com/stoa-live/stoa/services/live/hub"
)

// coverPrefix is where covers are served.
const coverPrefix = "/live/covers/"

// Pixels of an owner's cover.
const (
	coverWidth  = 1280
	coverHeight = 720
)

const (
	// firstSnapshot is how soon after the first picture the first snapshot comes.
	firstSnapshot = 500 * time.Millisecond
	// minSnapshotGap keeps an owner who asks again and again from keeping ffmpeg busy.
	minSnapshotGap = time.Second
)

// covers keeps the picture of each room, and the latest snapshot of each beside it: an owner who has a picture of their
// own can still take the snapshot of now, and going back to snapshots shows one at once.
//
// Files and rows change together under one lock, which is held for one small write of each. Media does not wait for it.
type covers struct {
	camera    *camera
	every     time.Duration
	shown     *picture.Folder
	snapshots *picture.Folder // nobody is served from there
	dir       string          // of snapshots
	db        *db
	now       func() time.Time
	log       *slog.Logger

	mu sync.Mutex
}

func newCovers(dataDir string, c *camera, every time.Duration, db *db, now func() time.Time, log *slog.Logger) (*covers, error) {
	shown, err := picture.OpenFolder(filepath.Join(dataDir, "covers"), coverPrefix)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(dataDir, "snapshots")
	snapshots, err := picture.OpenFolder(dir, "")
	if err != nil {
		return nil, err
	}
	return &covers{camera: c, every: every, shown: shown, snapshots: snapshots, dir: dir, db: db, now: now, log: log}, nil
}

// url is where a room's cover is served; empty without one.
func (c *covers) url(r Room) string {
	if r.CoverVersion == 0 {
		return ""
	}
	return c.shown.URL(r.ID, r.CoverVersion)
}

// run takes snapshots of stream until ctx ends: every now and then, and when it is woken.
func (c *covers) run(ctx context.Context, roomID string, stream *hub.Stream, wake <-chan struct{}) {
	if !c.camera.works() {
		return
	}
	wait := firstSnapshot
	var last []byte
	var taken time.Time
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			wait = max(0, minSnapshotGap-time.Since(taken))
			continue
		case <-time.After(wait):
		}
		flv := stream.Snapshot()
		if wait = c.every; flv == nil {
			wait = firstSnapshot
		}
		if flv == nil || bytes.Equal(flv, last) {
			continue
		}
		last, taken = flv, time.Now()
		err := c.snapshot(ctx, roomID, flv)
		if err != nil && ctx.Err() == nil && !failed { // once is enough for a stream that cannot be decoded
			c.log.Warn("take snapshot", "room", roomID, "error", err)
		}
		failed = err != nil
	}
}

// snapshot takes a picture of one keyframe, keeps it, and shows it where the room shows snapshots. While a cover is
// taken down it does nothing.
func (c *covers) snapshot(ctx context.Context, roomID string, flv []byte) error {
	if room, err := c.db.room(ctx, roomID); err != nil || room.CoverMode == TakenDownCover {
		return err
	}
	jpeg, err := c.camera.take(ctx, flv)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	room, err := c.db.room(ctx, roomID)
	if err != nil || room.CoverMode == TakenDownCover {
		return err
	}
	if err := c.snapshots.Put(roomID, jpeg); err != nil || room.CoverMode != AutomaticCover {
		return err
	}
	_, err = c.show(ctx, room, AutomaticCover, jpeg)
	return err
}

// setOwn shows a picture that picture.Fit made. Errors: COVER_TAKEN_DOWN.
func (c *covers) setOwn(ctx context.Context, roomID string, jpeg []byte) (Room, error) {
	return c.change(ctx, roomID, func(room Room) (Room, error) { return c.show(ctx, room, OwnCover, jpeg) })
}

// setSnapshot shows the latest snapshot and keeps it. Errors: COVER_TAKEN_DOWN, NO_SNAPSHOT.
func (c *covers) setSnapshot(ctx context.Context, roomID string) (Room, error) {
	return c.change(ctx, roomID, func(room Room) (Room, error) {
		if room.CoverMode == AutomaticCover && room.CoverVersion > 0 {
			return c.db.setCover(ctx, roomID, OwnCover, room.CoverVersion) // it is what is shown
		}
		jpeg, err := c.latest(roomID)
		if err != nil {
			return Room{}, err
		}
		if jpeg == nil {
			return Room{}, errNoSnapshot()
		}
		return c.show(ctx, room, OwnCover, jpeg)
	})
}

// setAutomatic shows the latest snapshot, if there is one, and those to come. Errors: COVER_TAKEN_DOWN.
func (c *covers) setAutomatic(ctx context.Context, roomID string) (Room, error) {
	return c.change(ctx, roomID, func(room Room) (Room, error) {
		if room.CoverMode == AutomaticCover {
			return room, nil
		}
		jpeg, err := c.latest(roomID)
		if err != nil {
			return Room{}, err
		}
		if jpeg != nil {
			return c.show(ctx, room, AutomaticCover, jpeg)
		}
		if err := c.shown.Remove(roomID); err != nil {
			return Room{}, err
		}
		return c.db.setCover(ctx, roomID, AutomaticCover, 0)
	})
}

// takeDown removes the cover and what it could come from again. Errors: ROOM_NOT_FOUND.
func (c *covers) takeDown(ctx context.Context, roomID string) (Room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.db.room(ctx, roomID); err != nil {
		return Room{}, err
	}
	// The files first: what is half done shows nothing, and can be done again.
	if err := errors.Join(c.shown.Remove(roomID), c.snapshots.Remove(roomID)); err != nil {
		return Room{}, err
	}
	return c.db.setCover(ctx, roomID, TakenDownCover, 0)
}

// change lets an owner change the cover, unless it was taken down.
func (c *covers) change(ctx context.Context, roomID string, act func(room Room) (Room, error)) (Room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room, err := c.db.room(ctx, roomID)
	if err != nil {
		return Room{}, err
	}
	if room.CoverMode == TakenDownCover {
		return Room{}, errCoverTakenDown()
	}
	return act(room)
}

// show makes a picture the room's cover: it is there before its new address is told, since the answer at an address may
// be kept for a day. The caller holds mu.
func (c *covers) show(ctx context.Context, room Room, mode CoverMode, jpeg []byte) (Room, error) {
	if err := c.shown.Put(room.ID, jpeg); err != nil {
		return Room{}, err
	}
	return c.db.setCover(ctx, room.ID, mode, max(room.CoverVersion+1, c.now().UnixMilli()))
}

// latest returns the last snapshot that was kept, or nil.
func (c *covers) latest(roomID string) ([]byte, error) {
	jpeg, err := os.ReadFile(filepath.Join(c.dir, roomID+".jpg"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return jpeg, nil
}

// mayChangeCover lets the owner through whose cover was not taken down, and takes one from limits. Errors: those of
// ownRoom, COVER_TAKEN_DOWN, RATE_LIMITED.
func (s *Service) mayChangeCover(ctx context.Context, callerID, roomID string, l *limits) error {
	room, err := s.ownRoom(ctx, callerID, roomID)
	if err != nil {
		return err
	}
	if room.CoverMode == TakenDownCover {
		return errCoverTakenDown()
	}
	return l.take(callerID, s.now())
}

// uploadCover makes a picture that the owner sent the room's cover. Errors: those of ownRoom, COVER_TAKEN_DOWN,
// RATE_LIMITED, IMAGE_INVALID.
func (s *Service) uploadCover(ctx context.Context, callerID, roomID string, image []byte) (Room, error) {
	// Before the picture is looked at: that is what costs.
	if err := s.mayChangeCover(ctx, callerID, roomID, s.uploads); err != nil {
		return Room{}, err
	}
	jpeg, err := picture.Fit(ctx, image, coverWidth, coverHeight)
	if err != nil {
		return Room{}, err
	}
	return s.covers.setOwn(ctx, roomID, jpeg)
}

// keepSnapshot makes the latest snapshot the room's cover for good. Errors: those of ownRoom, COVER_TAKEN_DOWN,
// RATE_LIMITED, NO_SNAPSHOT.
func (s *Service) keepSnapshot(ctx context.Context, callerID, roomID string) (Room, error) {
	if err := s.mayChangeCover(ctx, callerID, roomID, s.snapshots); err != nil {
		return Room{}, err
	}
	return s.covers.setSnapshot(ctx, roomID)
}

// automaticCover lets the room show snapshots, one of now among them. Errors: those of ownRoom, COVER_TAKEN_DOWN,
// RATE_LIMITED.
func (s *Service) automaticCover(ctx context.Context, callerID, roomID string) (Room, error) {
	if err := s.mayChangeCover(ctx, callerID, roomID, s.snapshots); err != nil {
		return Room{}, err
	}
	room, err := s.covers.setAutomatic(ctx, roomID)
	if err != nil {
		return Room{}, err
	}
	if r := s.air.get(roomID); r != nil {
		select {
		case r.wake <- struct{}{}:
		default: // it is about to anyway
		}
	}
	return room, nil
}
