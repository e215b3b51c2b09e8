package hub_test

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"pgregory.net/rapid"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

func TestNewcomerStartsAtTheLastKeyframe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{Merge: 350 * time.Millisecond})
		always := watch(t, e.stream)
		e.gop(49, 500)
		_ = always.poll()
		e.gop(49, 500)
		_ = always.poll()
		e.gop(30, 500)
		newcomer := watch(t, e.stream)
		e.gop(10, 500)
		e.Close() // seals what is waiting
		_, _ = always.poll(), newcomer.poll()
		if always.judge.Skips != 0 || always.judge.Frames != int(e.serial) {
			t.Errorf("who watched always has %d of %d frames and %d skips", always.judge.Frames, e.serial, always.judge.Skips)
		}
		if newcomer.judge.Skips != 0 {
			t.Errorf("a newcomer skips %d times", newcomer.judge.Skips)
		}
		var kinds []hub.Kind
		for _, tag := range newcomer.tags[:3] {
			kinds = append(kinds, tag.Kind)
		}
		if kinds[0] != hubtest.Script || kinds[1] != hub.Video || kinds[2] != hub.Audio || newcomer.parser.Flags != 5 {
			t.Errorf("a newcomer starts with %v, flags %d", kinds, newcomer.parser.Flags)
		}
		got, all := media(newcomer.tags), media(always.tags)
		if got[0].Serial() != 132 { // polled after the last keyframe came
			t.Errorf("a newcomer starts at frame %d, want the last keyframe, 132", got[0].Serial())
		}
		for i, want := range all[len(all)-len(got):] {
			if got[i].At != want.At || got[i].Serial() != want.Serial() {
				t.Fatalf("a newcomer got frame %d at %d, who watched always %d at %d", got[i].Serial(), got[i].At, want.Serial(), want.At)
			}
		}
	})
}

func TestSlowReaderGoesOnAtTheNewestKeyframe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{Backlog: 3 * time.Second})
		v := watch(t, e.stream)
		e.gop(24, 500)
		_ = v.poll()
		e.gop(24, 500)
		e.gop(24, 500) // two seconds behind: nothing is lost
		_ = v.poll()
		if v.judge.Skips != 0 || v.judge.Last != e.serial {
			t.Fatalf("two seconds behind: %d skips, frame %d of %d", v.judge.Skips, v.judge.Last, e.serial)
		}
		for range 10 {
			e.gop(24, 500)
		}
		e.key(500)
		newest := e.serial
		e.inter(500)
		before := len(v.tags)
		_ = v.poll()
		if got := v.tags[before].Serial(); got != newest || v.judge.Skips != 1 {
			t.Errorf("goes on at frame %d after %d skips, want %d", got, v.judge.Skips, newest)
		}
		if got := e.stream.Stats().Skips; got != 1 {
			t.Errorf("stats count %d skips", got)
		}
	})
}

// TestSlowReaderGetsTheConfigurationThatItSkipped: the keyframe that it goes on at cannot be decoded without.
func TestSlowReaderGetsTheConfigurationThatItSkipped(t *testing.T) {
	t.Parallel()
	for name, trimmed := range map[string]bool{"while it is kept": false, "long after": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := encode(t, hub.Config{Backlog: time.Second})
				v, other := watch(t, e.stream), watch(t, e.stream)
				e.gop(24, 500)
				_, _ = v.poll(), other.poll()
				e.gop(49, 500)
				e.write(hub.Video, hubtest.SmallAVCConfig())
				_ = other.poll() // has the new configuration: it needs none
				if trimmed {
					e.gop(49, 500)
					e.gop(49, 500)
				}
				e.key(500)
				fromV, fromOther := len(v.tags), len(other.tags)
				_, _ = v.poll(), other.poll()
				configs := 0
				for _, tag := range v.tags[fromV:] {
					if tag.IsKey() {
						break
					}
					if tag.IsConfig() && string(tag.Payload) == string(hubtest.SmallAVCConfig()) {
						configs++
					}
				}
				if configs != 1 || v.judge.Last != e.serial {
					t.Errorf("%d configurations before the keyframe, up to frame %d of %d", configs, v.judge.Last, e.serial)
				}
				for _, tag := range other.tags[fromOther:] {
					if tag.IsConfig() {
						t.Errorf("a reader gets a configuration again")
					}
				}
			})
		})
	}
}

// TestLongGroupsOfPictures: a minute without a keyframe is kept for newcomers while it is small, and given up when not.
func TestLongGroupsOfPictures(t *testing.T) {
	t.Parallel()
	const frame, pictures = 2000, 60 * 25
	t.Run("within the bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := encode(t, hub.Config{Merge: 350 * time.Millisecond})
			e.gop(pictures-1, frame)
			v := watch(t, e.stream)
			e.Close()
			_ = v.poll()
			if v.judge.Frames != pictures {
				t.Errorf("a newcomer got %d of %d frames", v.judge.Frames, pictures)
			}
		})
	})
	t.Run("over the bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const limit = 1 << 20
			e := encode(t, hub.Config{MaxGOPBytes: limit})
			steady, stalled := watch(t, e.stream), watch(t, e.stream)
			e.key(frame)
			_, _ = steady.poll(), stalled.poll()
			for range pictures {
				e.inter(frame)
				time.Sleep(40 * time.Millisecond)
				_ = steady.poll()
			}
			if steady.judge.Frames != pictures+1 || steady.judge.Skips != 0 {
				t.Errorf("who keeps up got %d of %d frames", steady.judge.Frames, pictures+1)
			}
			newcomer := watch(t, e.stream)
			_ = newcomer.poll()
			if len(newcomer.tags) != 0 {
				t.Errorf("a newcomer got %d tags of a group that is gone", len(newcomer.tags))
			}
			if v := held(e.stream); v > limit {
				t.Errorf("%d bytes are kept, more than %d", v, limit)
			}
			_ = stalled.poll()
			if stalled.judge.Frames != 1 {
				t.Errorf("who fell behind got %d frames of a group that is gone", stalled.judge.Frames)
			}
			// Both wait without running, and go on at the keyframe.
			done := make(chan struct{}, 2)
			for _, v := range []*viewer{newcomer, stalled} {
				go func() {
					blocks, err := v.reader.Next(nil, nil)
					if err != nil {
						t.Error(err)
					}
					v.take(blocks)
					done <- struct{}{}
				}()
			}
			synctest.Wait()
			e.inter(frame)
			synctest.Wait()
			e.key(frame)
			<-done
			<-done
			for _, v := range []*viewer{newcomer, stalled} {
				if v.judge.Last != e.serial {
					t.Errorf("goes on at frame %d, want %d", v.judge.Last, e.serial)
				}
			}
		})
	})
}

// held returns how many bytes a reader could still be given.
func held(s *hub.Stream) int {
	blocks, n := []*hub.Block(nil), 0
	tail := s.Tail().Position()
	for from := range tail {
		r := s.ReaderAt(from)
		if blocks, _ = r.Poll(blocks[:0]); len(blocks) > 0 && blocks[0].Seq() == from {
			for r := s.ReaderAt(from); !r.CaughtUp(); {
				blocks, _ = r.Poll(blocks[:0])
				for _, b := range blocks {
					n += len(b.FLV())
				}
			}
			break
		}
	}
	return n
}

// TestBlocksAreReleased: what is kept is what newcomers and the backlog need, whoever stalls.
func TestBlocksAreReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{Backlog: time.Second})
		tracker := e.stream.NewReader()
		var blocks []weak.Pointer[hub.Block]
		track := func() {
			for batch, _ := tracker.Poll(nil); len(batch) > 0; batch, _ = tracker.Poll(nil) {
				for _, b := range batch {
					blocks = append(blocks, weak.Make(b))
				}
			}
		}
		var stalled []*hub.Reader
		for range 20 {
			for range 25 {
				if len(stalled)%2 == 0 {
					e.key(1000)
				} else {
					e.inter(1000)
				}
				track()
				time.Sleep(40 * time.Millisecond)
				r := e.stream.NewReader()
				_, _ = r.Poll(nil)
				stalled = append(stalled, r)
			}
		}
		// A second's backlog, and nothing of the nineteen before it.
		const most = 25 + 2 + 1 // the preamble is one, and the ends of the second count
		alive := 0
		for range 2 {
			runtime.GC()
		}
		for _, b := range blocks {
			if b.Value() != nil {
				alive++
			}
		}
		if alive > most {
			t.Errorf("%d of %d blocks are alive, want at most %d", alive, len(blocks), most)
		}
		runtime.KeepAlive(stalled)
		for _, r := range stalled {
			v := &viewer{t: t, reader: r}
			if batch, err := v.reader.Poll(nil); len(batch) > 0 || err != nil {
				if tags, _, _ := hubtest.Tags(batch[0].FLV()); !tags[0].IsKey() && r != stalled[len(stalled)-1] && batch[0].Seq() < e.stream.Tail().Position()-26 {
					t.Errorf("a stalled reader goes on at block %d", batch[0].Seq())
				}
			}
		}
	})
}

func TestMergedFramesAreFlushedInTime(t *testing.T) {
	t.Parallel()
	for _, merge := range []time.Duration{0, 50 * time.Millisecond, 350 * time.Millisecond} {
		t.Run(merge.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := encode(t, hub.Config{Merge: merge})
				var arrived []time.Duration
				start := time.Now()
				v := watch(t, e.stream)
				stop := make(chan struct{})
				go func() {
					for {
						blocks, _ := v.reader.Next(stop, nil)
						if len(blocks) == 0 {
							return
						}
						v.take(blocks)
						for range media(v.tags)[len(arrived):] {
							arrived = append(arrived, time.Since(start))
						}
					}
				}()
				e.key(100)
				synctest.Wait()
				if merge == 0 && len(arrived) != 1 {
					t.Error("a frame waits although nothing is merged")
				}
				if merge > 0 && len(arrived) != 0 {
					t.Error("a frame does not wait for others")
				}
				time.Sleep(merge / 2)
				e.inter(100)
				time.Sleep(time.Hour) // no further frame comes
				synctest.Wait()
				want := []time.Duration{merge, merge}
				if merge == 0 {
					want = []time.Duration{0, 0}
				}
				if len(arrived) != 2 || arrived[0] != want[0] || arrived[1] != want[1] {
					t.Errorf("frames arrived after %v, want %v", arrived, want)
				}
				close(stop)
			})
		})
	}
}

func TestReadersEndAfterTheLastBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{Merge: time.Minute})
		v, early := watch(t, e.stream), e.stream.NewReader()
		e.key(100)
		e.inter(100)
		e.hub.Detach("room").Close() // before the merge is due
		if err := v.poll(); !errors.Is(err, hub.ErrClosed) {
			t.Errorf("poll ends with %v", err)
		}
		if v.judge.Frames != 2 {
			t.Errorf("%d of 2 frames came before the end", v.judge.Frames)
		}
		for range 2 {
			if blocks, err := v.reader.Next(nil, nil); len(blocks) > 0 || !errors.Is(err, hub.ErrClosed) {
				t.Errorf("after the end: %d blocks, %v", len(blocks), err)
			}
		}
		// Whoever waits by More learns of it too, although nothing follows the blocks.
		polling := e.stream.NewReader()
		var err error
		for err == nil {
			<-polling.More()
			_, err = polling.Poll(nil)
		}
		// Who only comes now still gets what is there.
		if blocks, err := early.Next(nil, nil); len(blocks) == 0 || err != nil {
			t.Errorf("a late reader: %d blocks, %v", len(blocks), err)
		}
		if _, err := early.Next(nil, nil); !errors.Is(err, hub.ErrClosed) {
			t.Errorf("a late reader ends with %v", err)
		}
		if _, err := hub.New(hub.Config{}).Open("x").NewReader().Next(closed(), nil); err != nil {
			t.Errorf("a reader that gives up gets %v", err)
		}
	})
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// TestReadersWhateverHappens holds readers of every pace to their promise: no gap but at a keyframe, nothing twice.
func TestReadersWhateverHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) { // which hides the deadline, that a bubble has no use for
			e := encode(r, hub.Config{
				Merge:       time.Duration(rapid.SampledFrom([]int{0, 100}).Draw(r, "merge")) * time.Millisecond,
				Backlog:     time.Second,
				MaxGOPBytes: rapid.SampledFrom([]int{5000, 1 << 20}).Draw(r, "max"),
			})
			viewers := []*viewer{watch(r, e.stream)}
			for range rapid.IntRange(1, 150).Draw(r, "steps") {
				switch rapid.IntRange(0, 9).Draw(r, "step") {
				case 0:
					e.key(rapid.IntRange(20, 400).Draw(r, "size"))
				case 1, 2, 3, 4:
					if e.serial > 0 {
						e.inter(rapid.IntRange(20, 400).Draw(r, "size"))
					}
				case 5:
					if e.serial > 0 {
						e.sound()
					}
				case 6:
					time.Sleep(time.Duration(rapid.IntRange(1, 700).Draw(r, "ms")) * time.Millisecond)
				case 7:
					viewers = append(viewers, watch(r, e.stream))
				default:
					_ = viewers[rapid.IntRange(0, len(viewers)-1).Draw(r, "viewer")].poll()
				}
			}
			e.hub.Close()
			for _, v := range viewers {
				if err := v.poll(); !errors.Is(err, hub.ErrClosed) {
					r.Errorf("a reader ends with %v", err)
				}
			}
		})
	})
}
