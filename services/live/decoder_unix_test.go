//go:build unix

package live_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"

	"github.com/stoa-live/stoa/services/live"
)

// decoder stands for ffmpeg, which these tests do without: a program that answers each keyframe with the picture that
// the test has laid out for it. That ffmpeg understands real keyframes is shown end to end.
type decoder struct {
	*world

	folder string
}

func (w *world) newDecoder() *decoder {
	w.t.Helper()
	d := &decoder{w, w.t.TempDir()}
	w.must(os.WriteFile(filepath.Join(d.folder, "decoder"), []byte("#!/bin/sh\ncat >/dev/null\ncat '"+d.folder+"/picture'\n"), 0o700))
	return d
}

// use makes a node take its snapshots from d, as often as it may.
func (d *decoder) use(c *live.Config) { c.FFmpeg = filepath.Join(d.folder, "decoder") }

// shows lays out a picture.
func (d *decoder) shows(jpeg []byte) {
	d.t.Helper()
	path := filepath.Join(d.folder, "picture")
	d.must(os.WriteFile(path+".new", jpeg, 0o600))
	d.must(os.Rename(path+".new", path))
}

// plain is a JPEG of one colour.
func (w *world) plain(c color.Color, width, height int) []byte {
	w.t.Helper()
	var out bytes.Buffer
	w.must(jpeg.Encode(&out, &image.Paletted{
		Pix: make([]byte, width*height), Stride: width, Rect: image.Rect(0, 0, width, height), Palette: color.Palette{c},
	}, nil))
	return out.Bytes()
}

// colour names the colour of a picture's middle, of those that tests use.
func colour(m image.Image) string {
	b := m.Bounds()
	r, g, blue, _ := m.At((b.Min.X+b.Max.X)/2, (b.Min.Y+b.Max.Y)/2).RGBA()
	var names []string
	for name, v := range map[string]uint32{"red": r, "green": g, "blue": blue} {
		if v > 0xc000 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}
