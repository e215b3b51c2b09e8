package chat_test

import (
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

func image(caption string) *chatv1.Content {
	return &chatv1.Content{Kind: &chatv1.Content_Image{Image: &chatv1.ImageContent{Media: &chatv1.Media{Url: "/a.jpg"}, Caption: caption}}}
}

func film(caption string) *chatv1.Content {
	return &chatv1.Content{Kind: &chatv1.Content_Video{Video: &chatv1.VideoContent{Media: &chatv1.Media{Url: "/a.mp4"}, Caption: caption}}}
}

func file(name string) *chatv1.Content {
	return &chatv1.Content{Kind: &chatv1.Content_File{File: &chatv1.FileContent{Media: &chatv1.Media{Url: "/a.pdf"}, Name: name}}}
}

// put sends content that must be taken.
func (n *node) put(user, conversation, id string, content *chatv1.Content) int64 {
	n.t.Helper()
	res, err := n.as(user).SendMessage(n.t.Context(), &chatv1.SendMessageRequest{
		ConversationId: conversation, ClientMsgId: "message-" + id, Content: content,
	})
	n.must(err)
	return res.GetMessage().GetSeq()
}

// TestWhatOfAMessageIsEdited edits texts and captions, and nothing else.
func TestWhatOfAMessageIsEdited(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.direct("ann", "bob")
	seqs := map[string]int64{
		"text": n.put("ann", id, "a-text", text("a")), "image": n.put("ann", id, "an-image", image("a")),
		"film": n.put("ann", id, "a-film", film("a")), "file": n.put("ann", id, "a-file", file("a")),
	}
	contents := map[string]func(string) *chatv1.Content{"text": text, "image": image, "film": film, "file": file}
	edit := func(what string, content *chatv1.Content) (*chatv1.Message, error) {
		res, err := n.as("ann").EditMessage(t.Context(), &chatv1.EditMessageRequest{ConversationId: id, Seq: seqs[what], Content: content})
		return res.GetMessage(), err
	}
	for what := range seqs {
		for other, make := range contents {
			if what == other && what != "file" {
				continue
			}
			_, err := edit(what, make("b"))
			assertRefused(t, what+" becomes "+other, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
		}
	}
	if last := n.state("ann", id).GetConversation().GetLastChange(); last != 0 {
		t.Errorf("after %d refused edits, %d changes", 13, last)
	}
	other := film("b") // the film itself stays
	other.GetVideo().Media = &chatv1.Media{Url: "/b.mp4"}
	m, err := edit("film", other)
	n.must(err)
	if v := m.GetContent().GetVideo(); v.GetCaption() != "b" || v.GetMedia().GetUrl() != "/a.mp4" || m.GetEditedAt() == nil || m.GetChange() != 1 {
		t.Errorf("the film is %v", m)
	}
	m, err = edit("image", image("b"))
	n.must(err)
	if m.GetContent().GetImage().GetCaption() != "b" || m.GetChange() != 2 {
		t.Errorf("the picture is %v", m)
	}
	m, err = edit("image", image("b"))
	n.must(err)
	if m.GetChange() != 2 {
		t.Errorf("an edit that changes nothing is change %d", m.GetChange())
	}
	n.recall("ann", id, seqs["text"])
	_, err = edit("text", text("back again"))
	assertRefused(t, "an edit of what was recalled", err, connect.CodeNotFound, chat.ReasonMessageNotFound)
	if got := n.page("bob", id); !got[0].GetDeleted() || got[0].GetContent() != nil || got[3].GetContent().GetFile().GetName() != "a" {
		t.Errorf("the other reads %v", got)
	}
}

// TestWhatAnAnswerQuotes answers each kind of content.
func TestWhatAnAnswerQuotes(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.direct("ann", "bob")
	for what, content := range map[string]*chatv1.Content{
		"a-text": text("quoted"), "an-image": image("quoted"), "a-film": film("quoted"), "a-file": file("quoted"),
		"a-place": {Kind: &chatv1.Content_Location{Location: &chatv1.LocationContent{Name: "quoted", Address: "x"}}},
		"a-card":  {Kind: &chatv1.Content_Card{Card: &chatv1.CardContent{Type: "room", Title: "quoted", Description: "x"}}},
		"a-vote":  {Kind: &chatv1.Content_Custom{Custom: &chatv1.CustomContent{Type: "vote", Data: []byte("x"), Fallback: "quoted"}}},
	} {
		seq := n.put("ann", id, what, content)
		if q := n.answer("bob", id, "to-"+what, "x", seq).GetReplyTo(); q.GetExcerpt() != "quoted" || q.GetSender().GetId() != "ann" || q.GetSeq() != seq {
			t.Errorf("%s is quoted as %v", what, q)
		}
	}
}
