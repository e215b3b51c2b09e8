package words_test

import (
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/words"
)

func TestLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // "" for refused
	}{
		"plain":                   {"Ada", "Ada"},
		"of several words":        {"Tea & 茶", "Tea & 茶"},
		"trimmed":                 {"\u3000 Ada\u00a0\n", "Ada"},
		"10 characters":           {strings.Repeat("名", 10), strings.Repeat("名", 10)},
		"10 and spaces":           {" " + strings.Repeat("名", 10) + " ", strings.Repeat("名", 10)},
		"11 characters":           {strings.Repeat("名", 11), ""},
		"joined emoji":            {"👩‍👩‍👧", "👩‍👩‍👧"},
		"a flag":                  {"🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"},
		"from right to left":      {"שלום مرحبا", "שלום مرحبا"},
		"with marks":              {"e\u0301", "e\u0301"},
		"joined letters":          {"می\u200cخ", "می\u200cخ"},
		"nothing":                 {"", ""},
		"white space":             {" \t\u2003", ""},
		"zero width":              {"\u200b\u200d\ufeff", ""},
		"Hangul fillers":          {"\u3164\uffa0\u115f\u1160", ""},
		"an empty Braille cell":   {"\u2800", ""},
		"a lone mark":             {"\u0301", ""},
		"a lone variation":        {"\ufe0f", ""},
		"NUL":                     {"a\x00b", ""},
		"an escape":               {"a\x1bb", ""},
		"a new line":              {"a\nb", ""},
		"the next line":           {"a\u0085b", ""},
		"a line separator":        {"a\u2028b", ""},
		"a paragraph separator":   {"a\u2029b", ""},
		"an override":             {"a\u202eb", ""},
		"an isolate":              {"a\u2067b", ""},
		"a direction mark":        {"a\u200fb", ""},
		"a private character":     {"a\ue000", ""},
		"no character":            {"a\ufffe", ""},
		"broken UTF-8":            {"a\xff", ""},
		"a replacement character": {"a\ufffd", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := words.Line(c.text, 10); ok != (c.want != "") || ok && got != c.want {
				t.Errorf("got %q, %v, want %q", got, ok, c.want)
			}
		})
	}
}
