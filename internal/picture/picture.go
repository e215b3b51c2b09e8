// Package picture turns pictures of strangers into small JPEGs of our own making, keeps them in a folder and serves them.
//
// What must never happen here: that anything of an uploaded file reaches another person as it was sent (its metadata can
// hold the place where it was taken), or that a small file which unfolds into a huge picture takes the memory.
package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"

	// Formats that are understood.
	_ "image/gif"
	_ "image/png"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/stoa-live/stoa/internal/errs"
)

// ReasonInvalid is the reason of every refusal.
const ReasonInvalid = "IMAGE_INVALID"

const (
	maxPixels = 24_000_000 // of what is decoded
	quality   = 82         // of what is written, from 1 to 100
)

// decoding bounds how many pictures are in memory at a time.
var decoding = make(chan struct{}, 2)

// Square cuts the middle of a picture to a square and scales it down to at most side × side pixels. Errors:
// INVALID_ARGUMENT (IMAGE_INVALID).
func Square(data []byte, side int) ([]byte, error) {
	return remake(data, func(b image.Rectangle) (from image.Rectangle, width, height int) {
		edge := min(b.Dx(), b.Dy())
		corner := image.Pt(b.Min.X+(b.Dx()-edge)/2, b.Min.Y+(b.Dy()-edge)/2)
		return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(edge, edge))}, min(edge, side), min(edge, side)
	})
}

// Fit scales a picture down until it fits into width × height pixels. Errors: INVALID_ARGUMENT (IMAGE_INVALID).
func Fit(data []byte, width, height int) ([]byte, error) {
	return remake(data, func(b image.Rectangle) (image.Rectangle, int, int) {
		scale := min(1, float64(width)/float64(b.Dx()), float64(height)/float64(b.Dy()))
		return b, max(1, int(float64(b.Dx())*scale)), max(1, int(float64(b.Dy())*scale))
	})
}

func remake(data []byte, plan func(image.Rectangle) (from image.Rectangle, width, height int)) ([]byte, error) {
	decoding <- struct{}{}
	defer func() { <-decoding }()
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, errs.InvalidArgument(ReasonInvalid, "This is no picture that is understood: send a JPEG, PNG, GIF or WebP file.")
	}
	if config.Width < 1 || config.Height < 1 || int64(config.Width)*int64(config.Height) > maxPixels {
		return nil, errs.InvalidArgument(ReasonInvalid, "A picture has at most %d million pixels, this one has %d × %d.",
			maxPixels/1_000_000, config.Width, config.Height)
	}
	source, _, err := image.Decode(bytes.NewReader(data))
	if err != nil || source.Bounds().Empty() {
		return nil, errs.InvalidArgument(ReasonInvalid, "The picture is damaged: it cannot be read to its end.")
	}
	from, width, height := plan(source.Bounds())
	target := image.NewRGBA(image.Rect(0, 0, width, height))
	// What is transparent becomes white: a JPEG has no other way.
	draw.Draw(target, target.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.CatmullRom.Scale(target, target.Bounds(), source, from, draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, target, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return out.Bytes(), nil
}
