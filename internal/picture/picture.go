// Package picture turns pictures of strangers into small JPEGs of our own making, keeps them in a folder and serves
// them.
//
// What must never happen here: that anything of an uploaded file reaches another person as it was sent (its metadata
// can hold the place where it was taken), or that a small file which unfolds into a huge picture, or into one that is
// painted thousands of times, takes the memory or the processor.
package picture

import (
	"bytes"
	"context"
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
	maxEdge   = 16_384     // of what is decoded: scaling needs memory for each of its lines
	maxScans  = 64         // of a JPEG that is decoded: each is a pass over the whole picture. Encoders make about ten
	quality   = 82         // of what is written, from 1 to 100
)

// decoding lets one picture of the process be in memory at a time: the worst of them, a progressive JPEG in four
// colours, takes half a gigabyte until it is scaled down. It is global because memory is: a turn for each service would
// let as many such pictures meet.
var decoding = make(chan struct{}, 1)

// Square cuts the middle of a picture to a square and scales it down to at most side × side pixels. Errors:
// INVALID_ARGUMENT (IMAGE_INVALID), the context's while others are being scaled.
func Square(ctx context.Context, data []byte, side int) ([]byte, error) {
	return remake(ctx, data, func(size image.Point) (from image.Rectangle, to image.Point) {
		edge := min(size.X, size.Y)
		corner := image.Pt((size.X-edge)/2, (size.Y-edge)/2)
		return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(edge, edge))}, image.Pt(min(edge, side), min(edge, side))
	})
}

// Fit scales a picture down until it fits into width × height pixels. Errors: INVALID_ARGUMENT (IMAGE_INVALID), the
// context's while others are being scaled.
func Fit(ctx context.Context, data []byte, width, height int) ([]byte, error) {
	return remake(ctx, data, func(size image.Point) (from image.Rectangle, to image.Point) {
		scale := min(1, float64(width)/float64(size.X), float64(height)/float64(size.Y))
		to = image.Pt(max(1, int(float64(size.X)*scale)), max(1, int(float64(size.Y)*scale)))
		return image.Rectangle{Max: size}, to
	})
}

// remake decodes a picture, and encodes the part of it that plan chooses of the upright picture in the size it chooses.
func remake(
	ctx context.Context, data []byte, plan func(size image.Point) (from image.Rectangle, to image.Point),
) ([]byte, error) {
	select {
	case decoding <- struct{}{}:
		defer func() { <-decoding }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to decode a picture: %w", ctx.Err())
	}
	source, err := decode(data)
	if err != nil {
		return nil, err
	}
	turn := orientation(data)
	bounds := source.Bounds()
	from, to := plan(turn.swap(bounds.Size()))
	// Scaled as it lies and turned when it is small. The part that is cut out is always in the middle.
	if turn.sideways() {
		from = image.Rect(from.Min.Y, from.Min.X, from.Max.Y, from.Max.X)
	}
	target := image.NewRGBA(image.Rectangle{Max: turn.swap(to)})
	// What is transparent becomes white: a JPEG has no other way.
	draw.Draw(target, target.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.CatmullRom.Scale(target, target.Bounds(), source, from.Add(bounds.Min), draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, turn.apply(target), &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return out.Bytes(), nil
}

// decode reads a picture whole, once it is known to be neither too large nor in too many scans.
func decode(data []byte) (image.Image, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, invalid("This is no picture that is understood: send a JPEG, PNG, GIF or WebP file.").Because(err)
	}
	if config.Width < 1 || config.Height < 1 {
		return nil, invalid("The picture is empty.")
	}
	if config.Width > maxEdge || config.Height > maxEdge || config.Width*config.Height > maxPixels {
		return nil, invalid("A picture has at most %d million pixels and edges of at most %d, this one has %d × %d.",
			maxPixels/1_000_000, maxEdge, config.Width, config.Height)
	}
	// Wherever they stand, also in metadata: a decoder finds no more than these, and there they are few.
	if startOfScan := []byte{0xff, 0xda}; format == "jpeg" && bytes.Count(data, startOfScan) > maxScans {
		return nil, invalid("The picture is in too many parts: a JPEG has at most %d scans.", maxScans)
	}
	source, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, invalid("The picture is damaged: it cannot be read to its end.").Because(err)
	}
	if source.Bounds().Empty() {
		return nil, invalid("The picture is empty.")
	}
	return source, nil
}

func invalid(format string, args ...any) *errs.Error {
	return errs.InvalidArgument(ReasonInvalid, format, args...)
}
