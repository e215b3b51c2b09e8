package chat

import (
	"strings"
	"unicode"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// cleanContent returns content as it is stored. Errors: INVALID_ARGUMENT. What a message can be in length stands in the
// contract and is checked before.
func cleanContent(content *chatv1.Content) (*chatv1.Content, error) {
	switch kind := content.GetKind().(type) {
	case *chatv1.Content_Text:
		text, err := cleanText(kind.Text.GetText())
		if err != nil {
			return nil, err
		}
		return &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}}, nil
	default:
		return nil, errs.InvalidArgument(errs.ReasonInvalidArgument, "content: this kind is not known")
	}
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
