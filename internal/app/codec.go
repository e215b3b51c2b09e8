package app

import (
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON refuses JSON with fields that the contract does not have, where connect's own codec drops them: who writes
// JSON by hand misspells a field, and would be answered as if it were not there. Of binary messages, which
// generated clients write, some newer than this server, package rpc drops such fields.
func strictJSON() connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCodec(jsonCodec("json")), connect.WithCodec(jsonCodec("json; charset=utf-8")),
	)
}

// jsonCodec is a connect.Codec by its name in content types.
type jsonCodec string

// Name implements connect.Codec.
func (c jsonCodec) Name() string { return string(c) }

// Marshal implements connect.Codec.
func (c jsonCodec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return protojson.Marshal(m)
}

// Unmarshal implements connect.Codec. The form of its errors is that of connect's own, which package errs reads.
func (c jsonCodec) Unmarshal(raw []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		return fmt.Errorf("unmarshal into %T: %w", message, err)
	}
	return nil
}
