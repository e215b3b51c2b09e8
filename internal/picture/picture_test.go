package picture_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/picture"
)

var (
	red   = color.NRGBA{R: 220, A: 255}
	green = color.NRGBA{G: 220, A: 255}
	blue  = color.NRGBA{B: 220, A: 255}
	white = color.NRGBA{R: 255, G: 255, B: 255, A: 255}
)

// paint makes a picture by asking for the colour of each pixel.
func paint(width, height int, at func(x, y int) color.Color) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, at(x, y))
		}
	}
	return m
}

func plain(c color.Color) func(x, y int) color.Color {
	return func(int, int) color.Color { return c }
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// asGIF is an animation of pictures of one colour each.
func asGIF(t testing.TB, width, height int, colours ...color.Color) []byte {
	t.Helper()
	var animation gif.GIF
	for _, c := range colours {
		m := image.NewPaletted(image.Rect(0, 0, width, height), palette.Plan9)
		for i := range m.Pix {
			m.Pix[i] = uint8(m.Palette.Index(c))
		}
		animation.Image, animation.Delay = append(animation.Image, m), append(animation.Delay, 10)
	}
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, &animation); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// WebP files of 16 × 16 pixels, made elsewhere: Go has no encoder.
const (
	webpLossless    = "UklGRhwAAABXRUJQVlA4TA8AAAAvD8ADAAcQ5Y7+ByKi/wEA"                                                                                         // red
	webpLossy       = "UklGRjgAAABXRUJQVlA4ICwAAADwAQCdASoQABAAAsBMJaACdLoB+AAEyAAAm//MEy6Lrm9/9NI8MP4Yf4ewAA=="                                                 // green
	webpTransparent = "UklGRlwAAABXRUJQVlA4WAoAAAAQAAAADwAADwAAQUxQSAkAAAABBxAREYiI/gcAVlA4ICwAAABwAQCdASoQABAAAsBMJaACdAFAAAD+9PQ//rgP/+g7//0Hf55HBskU12AAAA==" //nolint:lll // in one piece
)

func webp(t testing.TB, encoded string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// claiming is a PNG whose header says that it is of a size, and which ends after it.
func claiming(width, height uint32) []byte {
	var header bytes.Buffer
	header.WriteString("IHDR")
	for _, n := range []uint32{width, height} {
		_ = binary.Write(&header, binary.BigEndian, n)
	}
	header.Write([]byte{8, 6, 0, 0, 0})
	out := bytes.NewBufferString("\x89PNG\r\n\x1a\n")
	_ = binary.Write(out, binary.BigEndian, uint32(header.Len()-4))
	out.Write(header.Bytes())
	_ = binary.Write(out, binary.BigEndian, crc32.ChecksumIEEE(header.Bytes()))
	return out.Bytes()
}

// withEXIF puts an EXIF segment with an orientation into a JPEG, and the words that stand for the place where it was
// taken.
func withEXIF(photo []byte, order binary.AppendByteOrder, orientation uint16, place string) []byte {
	tiff := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		tiff = []byte("MM\x00*")
	}
	tiff = order.AppendUint32(tiff, 8) // where the directory is
	tiff = order.AppendUint16(tiff, 2)
	entry := func(tag, kind uint16, count uint32, value []byte) {
		tiff = order.AppendUint16(order.AppendUint16(tiff, tag), kind)
		tiff = append(order.AppendUint32(tiff, count), value...)
	}
	entry(0x010e, 2, uint32(len(place)), order.AppendUint32(nil, 8+2+2*12+4)) // ImageDescription
	entry(0x0112, 3, 1, append(order.AppendUint16(nil, orientation), 0, 0))
	tiff = append(order.AppendUint32(tiff, 0), place...)
	body := append([]byte("Exif\x00\x00"), tiff...)
	segment := append(binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2)), body...)
	return slices.Concat(photo[:2], segment, photo[2:])
}

// decoded reads a result, which is a JPEG and nothing else.
func decoded(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantPixel checks a colour to a JPEG's precision.
func wantPixel(t testing.TB, m image.Image, x, y int, want color.NRGBA) {
	t.Helper()
	r, g, b, _ := m.At(x, y).RGBA()
	for _, c := range [][2]int{{int(r >> 8), int(want.R)}, {int(g >> 8), int(want.G)}, {int(b >> 8), int(want.B)}} {
		if d := c[0] - c[1]; d < -25 || d > 25 {
			t.Errorf("at %d, %d is %d %d %d, want %v", x, y, r>>8, g>>8, b>>8, want)
			return
		}
	}
}

func TestSizes(t *testing.T) {
	square := func(side int) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return picture.Square(t.Context(), b, side) }
	}
	fit := func(width, height int) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return picture.Fit(t.Context(), b, width, height) }
	}
	for name, c := range map[string]struct {
		width, height int
		remake        func([]byte) ([]byte, error)
		want          image.Point
	}{
		"square of a wide one":     {600, 400, square(256), image.Pt(256, 256)},
		"square of a tall one":     {300, 900, square(256), image.Pt(256, 256)},
		"square of a small one":    {100, 40, square(256), image.Pt(40, 40)},
		"square of a pixel":        {1, 1, square(256), image.Pt(1, 1)},
		"square of a line":         {3000, 1, square(256), image.Pt(1, 1)},
		"fits by width":            {1000, 300, fit(640, 360), image.Pt(640, 192)},
		"fits by height":           {300, 1000, fit(640, 360), image.Pt(108, 360)},
		"fits already":             {64, 36, fit(640, 360), image.Pt(64, 36)},
		"fits by a line's breadth": {3000, 1, fit(640, 360), image.Pt(640, 1)},
		"fits by a line's height":  {1, 16_384, fit(640, 360), image.Pt(1, 360)},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.remake(asPNG(t, paint(c.width, c.height, plain(red))))
			if err != nil {
				t.Fatal(err)
			}
			m := decoded(t, out)
			if m.Bounds().Size() != c.want {
				t.Errorf("size %v, want %v", m.Bounds().Size(), c.want)
			}
			wantPixel(t, m, c.want.X/2, c.want.Y/2, red)
		})
	}
}

func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want color.NRGBA
	}{
		"JPEG":                  {asJPEG(t, paint(40, 40, plain(green))), green},
		"grey JPEG":             {asJPEG(t, image.NewGray(image.Rect(0, 0, 40, 40))), color.NRGBA{A: 255}},
		"PNG":                   {asPNG(t, paint(40, 40, plain(green))), green},
		"deep PNG":              {asPNG(t, image.NewNRGBA64(image.Rect(0, 0, 40, 40))), white},
		"GIF":                   {asGIF(t, 40, 40, green), green},
		"animation's first":     {asGIF(t, 40, 40, blue, red, green), blue},
		"lossless WebP":         {webp(t, webpLossless), red},
		"lossy WebP":            {webp(t, webpLossy), green},
		"transparent WebP":      {webp(t, webpTransparent), white},
		"transparent":           {asPNG(t, paint(40, 40, plain(color.Transparent))), white},
		"half transparent":      {asPNG(t, paint(40, 40, plain(color.NRGBA{R: 255, A: 128}))), color.NRGBA{R: 255, G: 127, B: 127, A: 255}},
		"with a tail of others": {append(asPNG(t, paint(40, 40, plain(green))), "<script>alert(1)</script>"...), green},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := picture.Square(t.Context(), c.data, 32)
			if err != nil {
				t.Fatal(err)
			}
			m := decoded(t, out)
			wantPixel(t, m, m.Bounds().Dx()/2, m.Bounds().Dy()/2, c.want)
			if bytes.Contains(out, []byte("script")) {
				t.Error("something was passed on as it was sent")
			}
		})
	}
}

func TestWhatIsNoPicture(t *testing.T) {
	photo, drawing, animation := asJPEG(t, paint(40, 40, plain(red))), asPNG(t, paint(40, 40, plain(red))), asGIF(t, 40, 40, red, blue)
	for name, data := range map[string][]byte{
		"nothing":              nil,
		"a byte":               {0xff},
		"text":                 []byte("GET / HTTP/1.1\r\n\r\n"),
		"a drawing in XML":     []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
		"half a JPEG":          photo[:len(photo)/2],
		"a JPEG without end":   photo[:len(photo)-20],
		"half a PNG":           drawing[:len(drawing)/2],
		"half a GIF":           animation[:len(animation)/8],
		"half a WebP":          webp(t, webpLossy)[:30],
		"a JPEG's start":       {0xff, 0xd8},
		"a PNG's header":       claiming(40, 40),
		"60,000 × 60,000":      claiming(60_000, 60_000),
		"more than int32":      claiming(1<<31-1, 1<<31-1),
		"one line too long":    claiming(24_000_000, 1),
		"one column too long":  claiming(1, 16_385),
		"a pixel too many":     claiming(4899, 4899),
		"no width":             claiming(0, 10),
		"a PNG called a JPEG":  append([]byte{0xff, 0xd8, 0xff, 0xe0}, drawing...),
		"a WebP of two sizes":  webpClaiming(2, 2, webp(t, webpLossless)),
		"lossy of two sizes":   webpClaiming(2, 2, webp(t, webpLossy)),
		"a WebP that is huge":  webpClaiming(16_000, 16_000, webp(t, webpLossless)),
		"a GIF without frames": append(slices.Clone(animation[:13]), ';'),
	} {
		t.Run(name, func(t *testing.T) {
			_, square := picture.Square(t.Context(), data, 256)
			_, fit := picture.Fit(t.Context(), data, 640, 360)
			for _, err := range []error{square, fit} {
				if !errs.Is(err, connect.CodeInvalidArgument, "IMAGE_INVALID") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	var refused *errs.Error
	if _, err := picture.Square(t.Context(), claiming(60_000, 60_000), 256); !errors.As(err, &refused) ||
		!strings.Contains(refused.Message, "60000 × 60000") {
		t.Errorf("the size is not told: %v", err)
	}
}

// webpClaiming wraps a simple WebP file into an extended one of another size.
func webpClaiming(width, height uint32, simple []byte) []byte {
	extended := []byte("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00")
	for _, n := range []uint32{width - 1, height - 1} {
		extended = append(extended, byte(n), byte(n>>8), byte(n>>16))
	}
	body := slices.Concat([]byte("WEBP"), extended, simple[12:])
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// quarters is red, green / blue, white.
func quarters(width, height int) image.Image {
	return paint(width, height, func(x, y int) color.Color {
		switch {
		case y < height/2 && x < width/2:
			return red
		case y < height/2:
			return green
		case x < width/2:
			return blue
		}
		return white
	})
}

// inScans is a progressive JPEG of one colour in many scans. All but the first say "nothing new in the next 16,384
// blocks" a few times, in 15 bits of 0 each, and cost a decoder a pass over the whole picture.
func inScans(width, height uint16, scans int) []byte {
	out := []byte{0xff, 0xd8}
	segment := func(marker byte, body ...byte) {
		out = append(out, 0xff, marker)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(body)+2)), body...)
	}
	// table is a Huffman table in which the bit 0 stands for one value.
	table := func(kind, value byte) {
		segment(0xc4, slices.Concat([]byte{kind, 1}, make([]byte, 15), []byte{value})...)
	}
	segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...) // quantization
	size := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, height), width)
	segment(0xc2, slices.Concat([]byte{8}, size, []byte{1, 1, 0x11, 0})...)
	table(0x00, 0)
	table(0x10, 0xe0)
	blocks := (int(width) + 7) / 8 * ((int(height) + 7) / 8)
	segment(0xda, 1, 1, 0x00, 0, 0, 0) // the mean of each block: all the same, a bit each
	out = append(out, make([]byte, (blocks+7)/8)...)
	for range scans - 1 {
		segment(0xda, 1, 1, 0x00, 1, 63, 0x10) // one bit more of the rest
		out = append(out, make([]byte, ((blocks+16_383)/16_384*15+7)/8)...)
	}
	return append(out, 0xff, 0xd9)
}

func TestScansAreBounded(t *testing.T) {
	for scans, refused := range map[int]bool{1: false, 10: false, 64: false, 65: true, 16_000: true} {
		_, err := picture.Fit(t.Context(), inScans(64, 48, scans), 32, 32)
		if refused != errs.Is(err, connect.CodeInvalidArgument, "IMAGE_INVALID") || !refused && err != nil {
			t.Errorf("%d scans: %v", scans, err)
		}
	}
	// Only a JPEG has scans: elsewhere the two bytes mean nothing.
	drawing := append(asPNG(t, paint(40, 40, plain(red))), bytes.Repeat([]byte{0xff, 0xda}, 100)...)
	if _, err := picture.Fit(t.Context(), drawing, 32, 32); err != nil {
		t.Error(err)
	}
}

func TestPortraitsAreTurnedUpright(t *testing.T) {
	const place = "48.85 N 2.35 E, where I live"
	// How the quarters of an upright picture lie in the file, for each orientation.
	for orientation, corners := range [][4]color.NRGBA{
		1: {red, green, blue, white}, 2: {green, red, white, blue}, 3: {white, blue, green, red}, 4: {blue, white, red, green},
		5: {red, blue, green, white}, 6: {blue, red, white, green}, 7: {white, green, blue, red}, 8: {green, white, red, blue},
		9: {red, green, blue, white}, // is none
	} {
		if orientation == 0 {
			continue
		}
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			file := withEXIF(asJPEG(t, quarters(400, 200)), order, uint16(orientation), place)
			if !bytes.Contains(file, []byte(place)) {
				t.Fatal("the place is not in the file")
			}
			want := image.Pt(100, 50)
			if orientation >= 5 && orientation <= 8 {
				want = image.Pt(25, 50)
			}
			fit, err := picture.Fit(t.Context(), file, 100, 50)
			if err != nil {
				t.Fatal(err)
			}
			if m := decoded(t, fit); m.Bounds().Size() != want {
				t.Errorf("orientation %d: size %v, want %v", orientation, m.Bounds().Size(), want)
			}
			square, err := picture.Square(t.Context(), file, 64)
			if err != nil {
				t.Fatal(err)
			}
			for _, out := range [][]byte{fit, square} {
				if bytes.Contains(out, []byte("Exif")) || bytes.Contains(out, []byte("where I live")) {
					t.Error("the place where it was taken is still told")
				}
				m := decoded(t, out)
				w, h := m.Bounds().Dx(), m.Bounds().Dy()
				for i, at := range []image.Point{{w / 4, h / 4}, {w * 3 / 4, h / 4}, {w / 4, h * 3 / 4}, {w * 3 / 4, h * 3 / 4}} {
					wantPixel(t, m, at.X, at.Y, corners[i])
				}
			}
		}
	}
}

func TestTheMiddleIsKept(t *testing.T) {
	// Thirds: the outer ones are cut away.
	wide := asPNG(t, paint(300, 100, func(x, _ int) color.Color { return []color.Color{red, green, blue}[x/100] }))
	tall := asPNG(t, paint(100, 300, func(_, y int) color.Color { return []color.Color{red, green, blue}[y/100] }))
	lying := withEXIF(asJPEG(t, paint(300, 100, func(x, _ int) color.Color { return []color.Color{red, green, blue}[x/100] })), binary.LittleEndian, 6, "")
	for name, data := range map[string][]byte{"wide": wide, "tall": tall, "lying": lying} {
		out, err := picture.Square(t.Context(), data, 50)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, at := range []image.Point{{5, 5}, {45, 5}, {25, 25}, {5, 45}, {45, 45}} {
			wantPixel(t, decoded(t, out), at.X, at.Y, green)
		}
	}
}

// FuzzRemake: whatever comes, the answer is a refusal or a JPEG of the size that was asked for, without metadata.
func FuzzRemake(f *testing.F) {
	photo := asJPEG(f, quarters(40, 20))
	for _, seed := range [][]byte{
		nil, photo, photo[:len(photo)/2], asPNG(f, quarters(30, 30)), asGIF(f, 20, 20, red, blue), webp(f, webpLossless), webp(f, webpLossy), webp(f, webpTransparent),
		webpClaiming(16, 16, webp(f, webpLossless)), webpClaiming(2, 2, webp(f, webpLossy)), claiming(60_000, 60_000), claiming(10, 10),
		withEXIF(photo, binary.LittleEndian, 6, "here"), withEXIF(photo, binary.BigEndian, 3, "there"),
		inScans(16, 16, 3), inScans(16, 16, 65),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if config, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && config.Width*config.Height > 1<<16 {
			return // large ones are slow, and nothing new
		}
		square, err := picture.Square(t.Context(), data, 16)
		if err != nil {
			if !errs.Is(err, connect.CodeInvalidArgument, "IMAGE_INVALID") {
				t.Fatal(err)
			}
			return
		}
		if size := decoded(t, square).Bounds().Size(); size.X != size.Y || size.X > 16 {
			t.Errorf("a square of %v", size)
		}
		fit, err := picture.Fit(t.Context(), data, 20, 10)
		if err != nil {
			t.Fatal("a square and no fit:", err)
		}
		if size := decoded(t, fit).Bounds().Size(); size.X > 20 || size.Y > 10 {
			t.Errorf("fits by %v", size)
		}
		if bytes.Contains(square, []byte("\xff\xe1")) || bytes.Contains(square, []byte("Exif\x00\x00")) {
			t.Error("metadata is left")
		}
	})
}
