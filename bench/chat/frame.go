package main

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of ServerFrame that the load looks at without decoding the rest.
const (
	replyKind = protowire.Number(3)
	errorKind = protowire.Number(4)
	pushKind  = protowire.Number(6)
)

// parseFrame tells what a ServerFrame answers and of what kind it is, with the bytes of that kind.
func parseFrame(b []byte) (id uint32, kind protowire.Number, body []byte, err error) {
	for len(b) > 0 {
		field, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, 0, nil, protowire.ParseError(n)
		}
		b = b[n:]
		switch wire {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return 0, 0, nil, protowire.ParseError(n)
			}
			id, b = uint32(v), b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return 0, 0, nil, protowire.ParseError(n)
			}
			kind, body, b = field, v, b[n:]
		default:
			return 0, 0, nil, errors.New("got a ServerFrame with an unknown kind of field")
		}
	}
	return id, kind, body, nil
}

// appendFrame appends a ServerFrame.
func appendFrame(b []byte, id uint32, kind protowire.Number, body []byte) []byte {
	if id != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(id))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, kind, protowire.BytesType), body)
}
