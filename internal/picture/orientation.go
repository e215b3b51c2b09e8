package picture

import (
	"bytes"
	"encoding/binary"
	"image"
)

// turn is the orientation of EXIF, 1 to 8: how a camera was held. It is all that we read of a picture's metadata, since
// a portrait would lie on its side when the metadata is gone.
type turn uint16

const upright turn = 1

// sideways reports whether width and height change places.
func (t turn) sideways() bool { return t >= 5 }

// swap exchanges what is along and what is across, if the picture lies on its side: its size becomes that of the
// upright one, and the other way round.
func (t turn) swap(size image.Point) image.Point {
	if t.sideways() {
		return image.Pt(size.Y, size.X)
	}
	return size
}

// apply turns a picture.
func (t turn) apply(m *image.RGBA) *image.RGBA {
	if t == upright {
		return m
	}
	last := m.Bounds().Max.Sub(image.Pt(1, 1))
	out := image.NewRGBA(image.Rectangle{Max: t.swap(m.Bounds().Size())})
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			from := t.swap(image.Pt(x, y))
			switch t {
			case 2, 3, 7, 8:
				from.X = last.X - from.X
			}
			switch t {
			case 3, 4, 6, 7:
				from.Y = last.Y - from.Y
			}
			out.SetRGBA(x, y, m.RGBAAt(from.X, from.Y))
		}
	}
	return out
}

// orientation reads how a JPEG is to be turned; what is no JPEG, says nothing or nonsense, is upright.
func orientation(data []byte) turn {
	const startOfImage, startOfScan, app1 = 0xffd8, 0xffda, 0xffe1
	if len(data) < 2 || binary.BigEndian.Uint16(data) != startOfImage {
		return upright
	}
	for rest := data[2:]; len(rest) >= 4; { // segments: a marker, a length that counts itself, and data
		marker, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if marker == startOfScan || size < 2 || len(rest) < 2+size {
			break
		}
		if tiff, ok := bytes.CutPrefix(rest[4:2+size], []byte("Exif\x00\x00")); ok && marker == app1 {
			return orientationOf(tiff)
		}
		rest = rest[2+size:]
	}
	return upright
}

// orientationOf reads the tag in the first directory of a TIFF file.
func orientationOf(tiff []byte) turn {
	const tag, short, entrySize = 0x0112, 3, 12
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(tiff, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(tiff, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return upright
	}
	if len(tiff) < 8 {
		return upright
	}
	start := int64(order.Uint32(tiff[4:]))
	if start+2 > int64(len(tiff)) {
		return upright
	}
	directory := tiff[start:]
	entries := int(order.Uint16(directory))
	for entry := directory[2:]; entries > 0 && len(entry) >= entrySize; entries-- {
		if order.Uint16(entry) == tag && order.Uint16(entry[2:]) == short {
			if t := turn(order.Uint16(entry[8:])); t >= 1 && t <= 8 {
				return t
			}
		}
		entry = entry[entrySize:]
	}
	return upright
}
