package chat

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// roomText is the longest text in a live room, in characters.
const roomText = 500

// cleanContent returns content as it is stored. Errors: INVALID_ARGUMENT. What a message can be in length stands in the
// contract and is checked before.
func cleanContent(content *chatv1.Content, in chatv1.ConversationKind) (*chatv1.Content, error) {
	switch kind := content.GetKind().(type) {
	case *chatv1.Content_Text:
		text, err := cleanText(kind.Text.GetText())
		if err != nil {
			return nil, err
		}
		if in == liveRoom && utf8.RuneCountInString(text) > roomText {
			return nil, invalid("content.text.text: in a live room it has at most %d characters", roomText)
		}
		return &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}}, nil
	case nil:
		return nil, invalid("content: this kind is not known")
	case *chatv1.Content_System:
		return nil, invalid("content.system: only the server writes it")
	default:
		if in == liveRoom {
			switch kind.(type) {
			case *chatv1.Content_Sticker, *chatv1.Content_Custom:
			default:
				return nil, invalid("content: in a live room it is text, a sticker or custom")
			}
		}
		for _, media := range mediaOf(content) {
			if err := checkURL(media.GetUrl()); err != nil {
				return nil, err
			}
		}
		for _, address := range []string{content.GetCard().GetUrl(), content.GetCard().GetImageUrl()} {
			if address == "" {
				continue
			}
			if err := checkURL(address); err != nil {
				return nil, err
			}
		}
		return content, nil
	}
}

// mediaOf returns the files that content refers to.
func mediaOf(content *chatv1.Content) []*chatv1.Media {
	var all []*chatv1.Media
	switch kind := content.GetKind().(type) {
	case *chatv1.Content_Image:
		all = append(all, kind.Image.GetMedia(), kind.Image.GetThumbnail())
	case *chatv1.Content_Voice:
		all = append(all, kind.Voice.GetMedia())
	case *chatv1.Content_Video:
		all = append(all, kind.Video.GetMedia(), kind.Video.GetCover())
	case *chatv1.Content_File:
		all = append(all, kind.File.GetMedia())
	case *chatv1.Content_Sticker:
		all = append(all, kind.Sticker.GetMedia())
	}
	return slices.DeleteFunc(all, func(m *chatv1.Media) bool { return m == nil })
}

// checkURL refuses addresses that a client could be made to run instead of to fetch.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || (u.Scheme == "" && (u.Host != "" || !strings.HasPrefix(u.Path, "/"))) ||
		(u.Scheme != "" && (u.Scheme != "https" || u.Host == "")) {
		return invalid("content: an address must be an https address, or a path on this server")
	}
	return nil
}

// cleanText trims text, writes its line ends as "\n" and refuses what shows nothing or would disturb a terminal.
func cleanText(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' {
			return "", errs.InvalidArgument(errs.ReasonInvalidArgument,
				"content.text.text: control character U+%04X is not allowed", r)
		}
	}
	text = strings.TrimFunc(text, blank)
	if !strings.ContainsFunc(text, visible) {
		return "", errs.InvalidArgument(errs.ReasonInvalidArgument, "content.text.text: there is nothing to see in it")
	}
	return text, nil
}

// blank reports whether r may be cut off at either end: white space, and characters of no width that join nothing.
// Joiners and marks stay, since they belong to the character beside them.
func blank(r rune) bool {
	switch r {
	case '\u200B', '\u2060', '\uFEFF', '\u00AD', '\u3164', '\uFFA0', '\u115F', '\u1160', '\u2800', '\u180E':
		return true
	}
	return unicode.IsSpace(r)
}

// visible reports whether r alone leaves a mark on a screen.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !blank(r) && !unicode.Is(unicode.M, r)
}
