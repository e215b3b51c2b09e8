package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-live/stoa/bench/process"
)

const centrifugoChannel = "room"

// centrifugoArena is Centrifugo with its memory engine and nothing kept, whose clients need no token, over WebSocket in
// its protobuf protocol. Messages are published by its HTTP API, as its documentation has it. With subscribe false,
// members connect and subscribe to nothing.
func centrifugoArena(binary string, subscribe bool) makeArena {
	return func(ctx context.Context) (*arena, error) {
		address, err := process.FreeAddress()
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "stoa-bench-")
		if err != nil {
			return nil, err
		}
		host, port, _ := strings.Cut(address, ":")
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		config, err := json.Marshal(map[string]any{
			"address": host, "port": n, "log_level": "error", "api_insecure": true, "allowed_origins": []string{"*"},
			"allow_anonymous_connect_without_token": true, "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true,
		})
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "config.json")
		if err := os.WriteFile(path, config, 0o600); err != nil {
			return nil, err
		}
		p, err := process.Start(nil, binary, "--config", path)
		if err != nil {
			return nil, err
		}
		stop := func() { p.Stop(patience); _ = os.RemoveAll(dir) }
		if err := process.Reachable(ctx, address); err != nil {
			stop()
			return nil, err
		}
		receive := func(ctx context.Context, _ int) (*receiver, error) {
			return centrifugoReceiver(ctx, address, subscribe)
		}
		send := func(context.Context, int) (*sender, error) { return centrifugoSender(address), nil }
		return &arena{server: p, receiver: receive, sender: send, stop: stop}, nil
	}
}

// centrifugoReceiver connects and subscribes. The numbers of fields are those of the Command and Reply messages in
// github.com/centrifugal/protocol, each of which is preceded by its length.
func centrifugoReceiver(ctx context.Context, address string, subscribe bool) (*receiver, error) {
	s, err := dialSocket(ctx, address, "/connection/websocket", "centrifuge-protobuf")
	if err != nil {
		return nil, err
	}
	command := func(id uint64, kind protowire.Number, request []byte) error {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), id)
		b = protowire.AppendBytes(protowire.AppendTag(b, kind, protowire.BytesType), request)
		if err := s.write(append(protowire.AppendVarint(nil, uint64(len(b))), b...)); err != nil {
			return err
		}
		reply, err := s.next()
		if err != nil {
			return err
		}
		_, prefix := protowire.ConsumeVarint(reply)
		answered, field, body, err := parseFrame(reply[max(prefix, 0):])
		if err == nil && (uint64(answered) != id || field == 2) { // 2 is an error
			err = fmt.Errorf("refused command %d with %q", id, body)
		}
		return err
	}
	if err = command(1, 4, nil); err == nil && subscribe {
		err = command(2, 5, protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), centrifugoChannel))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	// A frame is one reply or more; an empty one is a ping, to be answered by an empty command.
	pong := func(frame []byte, _ int) error {
		for len(frame) > 0 {
			size, n := protowire.ConsumeVarint(frame)
			if n < 0 || uint64(len(frame)-n) < size {
				return errors.New("got a frame that is no list of replies")
			}
			if frame = frame[n+int(size):]; size == 0 {
				if err := s.write([]byte{0}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return &receiver{socket: s, after: pong}, nil
}

// centrifugoSender publishes over connections that stay open. A call is on its way while the next one is sent.
func centrifugoSender(address string) *sender {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	publish := func(text string) error {
		body, err := json.Marshal(map[string]any{"channel": centrifugoChannel, "b64data": []byte(text)})
		if err != nil {
			return err
		}
		resp, err := client.Post("http://"+address+"/api/publish", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"error"`))) {
			err = fmt.Errorf("publish: %s: %s", resp.Status, answer)
		}
		return err
	}
	texts := make(chan string, 64)
	results := make(chan error, 4)
	for range cap(results) {
		go func() {
			var first error
			for text := range texts {
				first = errors.Join(first, publish(text))
			}
			results <- first
		}()
	}
	return &sender{
		send: func(text string) error { texts <- text; return nil },
		close: func() error {
			close(texts)
			var all error
			for range cap(results) {
				all = errors.Join(all, <-results)
			}
			return all
		},
	}
}
