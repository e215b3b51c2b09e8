//go:build unix

package hls_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// TestSlowDiskDropsUpToAKeyframe puts a pipe where the playlist is written, which blocks the muxer until someone reads.
func TestSlowDiskDropsUpToAKeyframe(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{})
	if err := os.MkdirAll(filepath.Join(s.root, id), 0o700); err != nil {
		t.Fatal(err)
	}
	pipe, playlist := filepath.Join(s.root, id, "playlist.m3u8.bak"), filepath.Join(s.root, id, "playlist.m3u8")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	s.packager.Start(id, s.stream)
	s.gop()
	s.picture(true) // ends the first segment, and blocks
	reader := s.stream.Tail()
	s.eventually("frames are dropped", func() bool {
		s.picture(false)
		return s.log.has("cannot keep up")
	})
	dropped := s.serial
	for range 100 {
		s.picture(false)
	}
	if _, err := os.ReadFile(pipe); err != nil {
		t.Fatal(err)
	}
	var judge hubtest.Judge
	s.eventually("a later keyframe is in the playlist", func() bool {
		s.gop()
		if info, err := os.Lstat(playlist); err != nil || !info.Mode().IsRegular() {
			return false // still the pipe
		}
		b, err := s.packager.Playlist(id, patient(t))
		if err != nil {
			t.Fatal(err)
		}
		judge = hubtest.Judge{}
		for _, name := range s.segments(b) {
			pictures := s.pictures(s.segment(name))
			if judge.Frames == 0 && !pictures[0].IsKey() {
				continue // a long group is cut without one, and the playlist may have left its start behind
			}
			if err := judge.Take(pictures); err != nil {
				t.Fatal(err)
			}
		}
		return judge.Last > dropped
	})
	if judge.Skips == 0 {
		t.Errorf("frames up to %d are in the playlist without a gap, although %d was dropped", judge.Last, dropped)
	}
	// Live viewers noticed nothing.
	if blocks, err := reader.Poll(nil); len(blocks) == 0 || err != nil {
		t.Errorf("a live viewer: %d blocks, %v", len(blocks), err)
	}
}
