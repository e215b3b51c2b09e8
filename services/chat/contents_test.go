package chat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// kinds are contents of each kind, as large as they may be, with a change that makes each wrong.
func kinds() map[string]kind {
	long := func(n int) string { return strings.Repeat("界", n) }
	const far = "https://media.example/"
	media := func() *chatv1.Media {
		return &chatv1.Media{
			Url: far + strings.Repeat("x", 2000-len(far)), MimeType: strings.Repeat("x", 100), Size: 1 << 40, Width: 1 << 30, Height: 1, DurationMs: 1,
		}
	}
	image := func(change func(c *chatv1.ImageContent)) *chatv1.Content {
		c := &chatv1.ImageContent{Media: media(), Thumbnail: media(), Caption: long(500)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Image{Image: c}}
	}
	voice := func(change func(c *chatv1.VoiceContent)) *chatv1.Content {
		c := &chatv1.VoiceContent{Media: media(), Waveform: make([]byte, 200)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Voice{Voice: c}}
	}
	video := func(change func(c *chatv1.VideoContent)) *chatv1.Content {
		c := &chatv1.VideoContent{Media: media(), Cover: &chatv1.Media{Url: "/covers/1"}, Caption: long(500)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Video{Video: c}}
	}
	file := func(change func(c *chatv1.FileContent)) *chatv1.Content {
		c := &chatv1.FileContent{Media: media(), Name: long(200)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_File{File: c}}
	}
	location := func(change func(c *chatv1.LocationContent)) *chatv1.Content {
		c := &chatv1.LocationContent{Latitude: -90, Longitude: 180, Name: long(200), Address: long(300)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Location{Location: c}}
	}
	card := func(change func(c *chatv1.CardContent)) *chatv1.Content {
		c := &chatv1.CardContent{
			Type: strings.Repeat("x", 40), Id: long(200), Title: long(200), Description: long(500), ImageUrl: "/x", Url: far,
		}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Card{Card: c}}
	}
	sticker := func(change func(c *chatv1.StickerContent)) *chatv1.Content {
		c := &chatv1.StickerContent{PackId: long(64), StickerId: long(64), Media: media()}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Sticker{Sticker: c}}
	}
	custom := func(change func(c *chatv1.CustomContent)) *chatv1.Content {
		c := &chatv1.CustomContent{Type: long(100), Data: bytes.Repeat([]byte{0xff, 0}, 8192), Fallback: long(500)}
		change(c)
		return &chatv1.Content{Kind: &chatv1.Content_Custom{Custom: c}}
	}
	out := map[string]kind{
		"text": {text(long(5000)), false, map[string]*chatv1.Content{
			"too long": text(long(5001)), "empty": text(""), "blank": text(" \n\u200b"), "control": text("a\x1bb"),
		}},
		"image": {image(func(*chatv1.ImageContent) {}), false, map[string]*chatv1.Content{
			"no picture":      image(func(c *chatv1.ImageContent) { c.Media = nil }),
			"a long caption":  image(func(c *chatv1.ImageContent) { c.Caption = long(501) }),
			"a bad thumbnail": image(func(c *chatv1.ImageContent) { c.Thumbnail = &chatv1.Media{} }),
		}},
		"voice": {voice(func(*chatv1.VoiceContent) {}), false, map[string]*chatv1.Content{
			"no sound":        voice(func(c *chatv1.VoiceContent) { c.Media = nil }),
			"a long waveform": voice(func(c *chatv1.VoiceContent) { c.Waveform = make([]byte, 201) }),
		}},
		"video": {video(func(*chatv1.VideoContent) {}), false, map[string]*chatv1.Content{
			"no film":        video(func(c *chatv1.VideoContent) { c.Media = nil }),
			"a long caption": video(func(c *chatv1.VideoContent) { c.Caption = long(501) }),
			"a bad cover":    video(func(c *chatv1.VideoContent) { c.Cover.Url = "http://plain.example/x" }),
		}},
		"file": {file(func(*chatv1.FileContent) {}), false, map[string]*chatv1.Content{
			"no file":     file(func(c *chatv1.FileContent) { c.Media = nil }),
			"no name":     file(func(c *chatv1.FileContent) { c.Name = "" }),
			"a long name": file(func(c *chatv1.FileContent) { c.Name = long(201) }),
		}},
		"location": {location(func(*chatv1.LocationContent) {}), false, map[string]*chatv1.Content{
			"no number":      location(func(c *chatv1.LocationContent) { c.Latitude = math.NaN() }),
			"too far south":  location(func(c *chatv1.LocationContent) { c.Latitude = -90.1 }),
			"too far east":   location(func(c *chatv1.LocationContent) { c.Longitude = 180.1 }),
			"a long name":    location(func(c *chatv1.LocationContent) { c.Name = long(201) }),
			"a long address": location(func(c *chatv1.LocationContent) { c.Address = long(301) }),
		}},
		"card": {card(func(*chatv1.CardContent) {}), false, map[string]*chatv1.Content{
			"no type":      card(func(c *chatv1.CardContent) { c.Type = "" }),
			"a long type":  card(func(c *chatv1.CardContent) { c.Type = strings.Repeat("x", 41) }),
			"no title":     card(func(c *chatv1.CardContent) { c.Title = "" }),
			"a long title": card(func(c *chatv1.CardContent) { c.Title = long(201) }),
			"a script":     card(func(c *chatv1.CardContent) { c.Url = "javascript:alert(1)" }),
			"a bad image":  card(func(c *chatv1.CardContent) { c.ImageUrl = "https://user:password@media.example/x" }),
		}},
		"sticker": {sticker(func(*chatv1.StickerContent) {}), true, map[string]*chatv1.Content{
			"no id":       sticker(func(c *chatv1.StickerContent) { c.StickerId = "" }),
			"a long id":   sticker(func(c *chatv1.StickerContent) { c.StickerId = long(65) }),
			"a long pack": sticker(func(c *chatv1.StickerContent) { c.PackId = long(65) }),
			"a bad media": sticker(func(c *chatv1.StickerContent) { c.Media.Url = "data:image/png;base64,x" }),
		}},
		"custom": {custom(func(*chatv1.CustomContent) {}), true, map[string]*chatv1.Content{
			"no type":     custom(func(c *chatv1.CustomContent) { c.Type = "" }),
			"a long type": custom(func(c *chatv1.CustomContent) { c.Type = long(101) }),
			"too large":   custom(func(c *chatv1.CustomContent) { c.Data = make([]byte, 16385) }),
			"a long text": custom(func(c *chatv1.CustomContent) { c.Fallback = long(501) }),
		}},
		"system": {nil, false, map[string]*chatv1.Content{
			"a person's": {Kind: &chatv1.Content_System{System: &chatv1.SystemContent{Action: chatv1.SystemAction_SYSTEM_ACTION_PINNED}}},
		}},
	}
	for name, change := range map[string]func(m *chatv1.Media){
		"no address":        func(m *chatv1.Media) { m.Url = "" },
		"a long address":    func(m *chatv1.Media) { m.Url += "x" },
		"another host":      func(m *chatv1.Media) { m.Url = "//media.example/x" },
		"a relative path":   func(m *chatv1.Media) { m.Url = "x/y" },
		"a script":          func(m *chatv1.Media) { m.Url = "javascript:alert(1)" },
		"a long type":       func(m *chatv1.Media) { m.MimeType += "x" },
		"a negative size":   func(m *chatv1.Media) { m.Size = -1 },
		"a negative width":  func(m *chatv1.Media) { m.Width = -1 },
		"a negative height": func(m *chatv1.Media) { m.Height = -1 },
		"a negative length": func(m *chatv1.Media) { m.DurationMs = -1 },
	} {
		out["file"].wrong["of a medium, "+name] = file(func(c *chatv1.FileContent) { change(c.GetMedia()) })
	}
	return out
}

type kind struct {
	right  *chatv1.Content
	inRoom bool // besides text
	wrong  map[string]*chatv1.Content
}

func TestEveryKindOfContent(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.group("ann", nil, "bob")
	all := kinds()
	if fields := (&chatv1.Content{}).ProtoReflect().Descriptor().Oneofs().Get(0).Fields().Len(); fields != len(all) {
		t.Errorf("there are %d kinds, and %d are tried", fields, len(all))
	}
	count := 0
	send := func(to string, c *chatv1.Content) (*chatv1.Message, error) {
		count++
		r := &chatv1.SendMessageRequest{
			ConversationId: to, ClientMsgId: fmt.Sprint("content-", count), Content: proto.CloneOf(c),
		}
		stuff(r.ProtoReflect()) // none of it is stored
		res, err := n.as("bob").SendMessage(t.Context(), r)
		return res.GetMessage(), err
	}
	var want []*chatv1.Content
	for name, k := range all {
		if k.right != nil {
			sent, err := send(id, k.right)
			if err != nil || !proto.Equal(sent.GetContent(), k.right) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want = append(want, k.right)
			_, err = send(room, k.right)
			switch {
			case k.inRoom:
				n.must(err)
			default: // the text is too long for a room
				assertRefused(t, name+" in a room", err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
			}
		}
		for what, c := range k.wrong {
			_, err := send(id, c)
			assertRefused(t, name+", "+what, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
		}
	}
	shown := n.page("ann", id)[1:] // after its making
	if len(shown) != len(want) {
		t.Fatalf("%d messages, want %d", len(shown), len(want))
	}
	p := n.phone("ann")
	p.sync(100)
	p.assertWhole(id)
	for i, m := range shown {
		if !proto.Equal(m.GetContent(), want[i]) {
			t.Errorf("message %d is %.100v, want %.100v", m.GetSeq(), m.GetContent(), want[i])
		}
	}
}

// stuff puts a field that no contract has into a message and all messages in it.
func stuff(m protoreflect.Message) {
	const field = 999
	m.SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), make([]byte, 100_000)))
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				stuff(v.List().Get(i).Message())
			}
		default:
			stuff(v.Message())
		}
		return true
	})
}

// TestUnknownFieldsAreDropped has clients write fields that the contract does not have, wherever something of theirs is kept.
func TestUnknownFieldsAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := messagesTold(w)
	ctx := t.Context()
	asked := &chatv1.CreateGroupRequest{
		RequestId: "a-request", Title: "A group", UserIds: []string{"bob"}, Settings: &chatv1.GroupSettings{Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN},
	}
	stuff(asked.ProtoReflect())
	made, err := n.groups("ann").CreateGroup(ctx, asked)
	n.must(err)
	id := made.GetState().GetConversation().GetId()
	first := sending(id, "an answer", "x")
	first.Mentions, first.ReplyToSeq = &chatv1.Mentions{UserIds: []string{"bob"}}, 1
	stuff(first.ProtoReflect())
	sent, err := n.as("ann").SendMessage(ctx, first)
	n.must(err)
	edit := &chatv1.EditMessageRequest{
		ConversationId: id, Seq: sent.GetMessage().GetSeq(), Content: text("y"), Mentions: &chatv1.Mentions{UserIds: []string{"ann"}},
	}
	stuff(edit.ProtoReflect())
	edited, err := n.as("ann").EditMessage(ctx, edit)
	n.must(err)
	house := &chatv1.SendSystemMessageRequest{UserIds: []string{"bob"}, ClientMsgId: "of the house", Content: kinds()["card"].right}
	stuff(house.ProtoReflect())
	_, err = n.neighbour("live").SendSystemMessage(ctx, house)
	n.must(err)
	for _, m := range []proto.Message{made, sent, edited} {
		if size := proto.Size(m); size > 10_000 {
			t.Errorf("%T has %d bytes", m, size)
		}
	}
	if largest := n.number("SELECT max(length(body)) FROM messages"); largest > 10_000 {
		t.Errorf("a message of %d bytes is stored", largest)
	}
	n.eventually("all is told", func() bool { return len(told()) >= 3 })
	for _, m := range told() {
		if size := proto.Size(m); size > 10_000 {
			t.Errorf("%d bytes are told", size)
		}
	}
	// What was stored before there was this rule is not shown any more, nor passed on.
	old := &chatv1.Message{Sender: sent.GetMessage().GetSender(), Content: proto.CloneOf(kinds()["sticker"].right)}
	stuff(old.GetContent().ProtoReflect())
	body, err := proto.Marshal(old)
	n.must(err)
	last := n.say("ann", id, "old", "x").GetSeq()
	w.exec("UPDATE messages SET body = ? WHERE conversation_id = ? AND seq = ?", body, id, last)
	res, err := n.as("ann").ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
		FromConversationId: id, Seqs: []int64{last}, ToConversationId: id, RequestId: "forwarded",
	})
	n.must(err)
	for _, m := range append(n.page("bob", id)[2:], res.GetMessages()...) {
		if !proto.Equal(m.GetContent(), kinds()["sticker"].right) {
			t.Errorf("message %d is shown with %d bytes", m.GetSeq(), proto.Size(m))
		}
	}
}

// TestInvalidUTF8 breaks each text of each kind on the wire.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.group("ann", nil, "bob")
	token := n.Token(t, n.User("bob", authv1.Role_ROLE_USER))
	post := func(procedure string, body []byte) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.server.URL()+procedure, bytes.NewReader(body))
		n.must(err)
		r.Header.Set("Content-Type", "application/proto")
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := n.server.Client().Do(r)
		n.must(err)
		answer, err := io.ReadAll(res.Body)
		n.must(errors.Join(err, res.Body.Close()))
		return res.StatusCode, string(answer)
	}
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		n.must(err)
		return b
	}
	tried := 0
	for name, k := range kinds() {
		if k.right == nil {
			continue
		}
		body := encode(&chatv1.SendMessageRequest{ConversationId: id, ClientMsgId: "broken-text", Content: k.right})
		// Each run of long texts has this character; a byte of it is broken.
		for from := 0; ; {
			at := bytes.Index(body[from:], []byte("界"))
			if at < 0 {
				break
			}
			broken := bytes.Clone(body)
			broken[from+at+1] = 0xff
			tried++
			if status, answer := post(chatv1connect.ChatServiceSendMessageProcedure, broken); status != http.StatusBadRequest || !strings.Contains(answer, "invalid_argument") {
				t.Errorf("%s: %d %s", name, status, answer)
			}
			for from += at; bytes.HasPrefix(body[from:], []byte("界")); from += len("界") {
			}
		}
	}
	if tried < 13 {
		t.Errorf("%d texts were broken", tried)
	}
	first := n.say("bob", id, "good text", "x").GetSeq()
	for name, c := range map[string]struct {
		procedure string
		request   proto.Message
	}{
		"a sign":        {chatv1connect.ChatServiceSetReactionProcedure, &chatv1.SetReactionRequest{ConversationId: id, Seq: first, Key: "XX"}},
		"an edit":       {chatv1connect.ChatServiceEditMessageProcedure, &chatv1.EditMessageRequest{ConversationId: id, Seq: first, Content: text("XX")}},
		"an id":         {chatv1connect.ChatServiceSendMessageProcedure, &chatv1.SendMessageRequest{ConversationId: id, ClientMsgId: "XXXXXXXXXX", Content: text("x")}},
		"a title":       {chatv1connect.GroupServiceCreateGroupProcedure, &chatv1.CreateGroupRequest{RequestId: "a-request", Title: "XX"}},
		"a mention":     {chatv1connect.ChatServiceSendMessageProcedure, &chatv1.SendMessageRequest{ConversationId: id, ClientMsgId: "a-mention", Content: text("x"), Mentions: &chatv1.Mentions{UserIds: []string{"XX"}}}},
		"a ban's cause": {chatv1connect.GroupServiceBanUserProcedure, &chatv1.BanUserRequest{ConversationId: id, UserId: "cid", Reason: "XX"}},
	} {
		status, answer := post(c.procedure, bytes.Replace(encode(c.request), []byte("XX"), []byte{0xc3, 0x28}, 1))
		if status != http.StatusBadRequest || !strings.Contains(answer, "invalid_argument") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if shown := n.page("ann", id); len(shown) != 2 || shown[1].GetChange() != 0 {
		t.Errorf("something of it was stored: %v", shown)
	}
}
