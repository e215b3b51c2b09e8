package edge

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"sync"

	"github.com/gobwas/ws"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// packFrom is from which size on a frame is compressed where its client accepts that, in bytes.
const packFrom = 1 << 10

// Numbers of fields in edge.proto, for frames that are put together from encoded parts.
const (
	fieldServerFramePush = 6
	fieldPushEvents      = 1
)

// frame is a ServerFrame that is encoded once, whoever gets it: as it is and compressed, each with the head that a
// transport puts before it. The forms are made when the first session needs them.
type frame struct {
	plain   []byte // the ServerFrame
	push    bool   // it is counted, and kept for a resume
	control bool   // plain is a frame of the transport's own instead, and written as it is

	mu      sync.Mutex
	packed  []byte // a ServerFrame with the Packed; nil where that does not pay
	packing bool   // packed was tried
	forms   [4][]byte
}

// form is how a transport wants frames.
type form int

const (
	formBare      form = iota // no head
	formWebSocket             // one unmasked binary message
	formDelimited             // its length before it, as a varint
)

// newFrame encodes a frame that is for one session alone.
func newFrame(f *edgev1.ServerFrame) *frame {
	plain, err := proto.Marshal(f)
	if err != nil { // only invalid UTF-8, which our own words do not have
		plain = nil
	}
	return &frame{plain: plain}
}

// pushFrame makes a Push of encoded events.
func pushFrame(events [][]byte) *frame {
	size := 0
	for _, e := range events {
		size += protowire.SizeTag(fieldPushEvents) + protowire.SizeBytes(len(e))
	}
	plain := make([]byte, 0, size+16)
	plain = protowire.AppendTag(plain, fieldServerFramePush, protowire.BytesType)
	plain = protowire.AppendVarint(plain, uint64(size)) //nolint:gosec // a length
	for _, e := range events {
		plain = protowire.AppendTag(plain, fieldPushEvents, protowire.BytesType)
		plain = protowire.AppendBytes(plain, e)
	}
	return &frame{plain: plain, push: true}
}

// in returns the frame as a transport writes it, compressed where the client accepts that and it pays.
func (f *frame) in(as form, accepted bool) []byte {
	if f.control {
		return f.plain
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	body, slot := f.plain, int(as)-1
	if accepted && len(f.plain) >= packFrom {
		if !f.packing {
			f.packing, f.packed = true, pack(f.plain)
		}
		if f.packed != nil {
			body, slot = f.packed, slot+2
		}
	}
	if as == formBare {
		return body
	}
	if f.forms[slot] == nil {
		f.forms[slot] = withHead(as, body)
	}
	return f.forms[slot]
}

func withHead(as form, body []byte) []byte {
	if as == formDelimited {
		return append(binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen32), uint64(len(body))), body...)
	}
	var out bytes.Buffer
	out.Grow(len(body) + ws.MaxHeaderSize)
	_ = ws.WriteHeader(&out, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(len(body))}) // a buffer takes all
	out.Write(body)
	return out.Bytes()
}

var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
	return w
}}

// pack compresses a frame; nil where that saves less than a fifth.
func pack(plain []byte) []byte {
	var out bytes.Buffer
	w, ok := packers.Get().(*gzip.Writer)
	if !ok {
		return nil
	}
	defer packers.Put(w)
	w.Reset(&out)
	if _, err := w.Write(plain); err != nil || w.Close() != nil || out.Len() > len(plain)*4/5 {
		return nil
	}
	packed, err := proto.Marshal(&edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Packed{
		Packed: &edgev1.Packed{Gzip: out.Bytes(), Size: int32(len(plain))}, //nolint:gosec // at most some MiB
	}})
	if err != nil {
		return nil
	}
	return packed
}
