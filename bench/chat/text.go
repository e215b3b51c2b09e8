package main

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

const textSize = 100 // bytes of each message's text

// marker begins each text and precedes its sending time in 16 hexadecimal digits, whatever protocol is around it.
var marker = []byte("STOABNCH")

// newText is a message's text that was sent at a time; number makes it differ from others of that time.
func newText(sent time.Time, number int) string {
	b := make([]byte, 0, textSize)
	b = append(b, marker...)
	digits := strconv.FormatInt(sent.UnixNano(), 16)
	b = append(append(b, "0000000000000000"[len(digits):]...), digits...)
	b = strconv.AppendInt(append(b, ' '), int64(number), 10)
	b = append(b, bytes.Repeat([]byte(" and so on"), 10)...)
	return string(b[:textSize])
}

// eachText calls fn with the sending time of each text in the bytes.
func eachText(b []byte, fn func(sent time.Time)) {
	for {
		i := bytes.Index(b, marker)
		if i < 0 || len(b) < i+len(marker)+16 {
			return
		}
		b = b[i+len(marker):]
		var ns [8]byte
		if _, err := hex.Decode(ns[:], b[:16]); err == nil {
			var n int64
			for _, x := range ns {
				n = n<<8 | int64(x)
			}
			fn(time.Unix(0, n))
		}
		b = b[16:]
	}
}

// typicalPush is the ServerFrame by which Stoa tells of one message in a room, with identifiers of the usual lengths, so
// that the floor moves the same bytes.
func typicalPush(text string) []byte {
	const id = "01JAAAAAAAAAAAAAAAAAAAAAAA"
	b, err := proto.Marshal(&edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Push{Push: &edgev1.Push{Events: []*edgev1.Event{{
		Kind: &edgev1.Event_Chat{Chat: &chatv1.Event{
			ConversationId: id,
			Kind: &chatv1.Event_Message{Message: &chatv1.Message{
				ConversationId: id, Epoch: 1, Seq: 1 << 12, ClientMsgId: id, SentAt: timestamppb.New(time.Unix(1<<31, 123456789)),
				Sender:  &authv1.User{Id: id, Nickname: "sender-0001", Role: authv1.Role_ROLE_USER},
				Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
			}},
		}},
	}}}}})
	if err != nil {
		panic(err) // a fixed message
	}
	return b
}

// typicalCall is the ClientFrame of a send, likewise.
func typicalCall(text string) []byte {
	const id = "01JAAAAAAAAAAAAAAAAAAAAAAA"
	request, err := proto.Marshal(&chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: id, Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	})
	if err != nil {
		panic(err)
	}
	frame, err := proto.Marshal(&edgev1.ClientFrame{Id: 1 << 12, Kind: &edgev1.ClientFrame_Call{
		Call: &edgev1.Call{Procedure: sendProcedure, Request: request},
	}})
	if err != nil {
		panic(err)
	}
	return frame
}
