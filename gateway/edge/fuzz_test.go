package edge_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

func unpack(t *testing.T, p *edgev1.Packed) *edgev1.ServerFrame {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(p.GetGzip()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || len(b) != int(p.GetSize()) {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	f := &edgev1.ServerFrame{}
	if err := proto.Unmarshal(b, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) user(id string) *authv1.User { return &authv1.User{Id: id} }
