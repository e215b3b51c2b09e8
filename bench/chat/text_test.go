package main

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

func TestTextsAreFoundInFrames(t *testing.T) {
	var want []time.Time
	var frames []byte
	for i := range 5 {
		sent := time.Unix(0, time.Now().UnixNano()+int64(i))
		want = append(want, sent)
		text := newText(sent, i)
		if len(text) != textSize {
			t.Fatalf("a text of %d bytes", len(text))
		}
		frames = append(frames, typicalPush(text)...)
	}
	var got []time.Time
	eachText(append(frames, marker...), func(sent time.Time) { got = append(got, sent) }) // the last is cut off
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFramesAreTakenApart(t *testing.T) {
	reply := &edgev1.ServerFrame{Id: 300, Kind: &edgev1.ServerFrame_Reply{Reply: &edgev1.Reply{Response: []byte("yes")}}}
	b, err := proto.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	id, kind, body, err := parseFrame(b)
	if err != nil || id != 300 || kind != replyKind {
		t.Fatalf("got id %d, kind %d, %v", id, kind, err)
	}
	var inner edgev1.Reply
	if err := proto.Unmarshal(body, &inner); err != nil || string(inner.GetResponse()) != "yes" {
		t.Errorf("got %q, %v", inner.GetResponse(), err)
	}
	if again := appendFrame(nil, id, kind, body); string(again) != string(b) {
		t.Errorf("put together again it is %x, want %x", again, b)
	}
	for _, bad := range [][]byte{b[:len(b)-1], {0x80}, {0x0d, 0, 0, 0, 0}} {
		if _, _, _, err := parseFrame(bad); err == nil {
			t.Errorf("%x is taken for a frame", bad)
		}
	}
	for frame, want := range map[string]*edgev1.ClientFrame{
		string(pingFrame()):  {Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}},
		string(ackFrame(50)): {Kind: &edgev1.ClientFrame_Ack{Ack: &edgev1.Ack{Received: 50}}},
	} {
		var got edgev1.ClientFrame
		if err := proto.Unmarshal([]byte(frame), &got); err != nil || !proto.Equal(&got, want) {
			t.Errorf("%x is %v, %v, want %v", frame, &got, err, want)
		}
	}
}
