// Package words has the rules for short texts that people write and others see: names, nicknames, titles.
//
// What must never happen here: that a text which passed breaks out of its line, turns the text around it, or cannot be
// seen at all.
package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line trims a text that is shown in one line, such as a nickname. ok is false unless it has 1 to most characters, one
// of them visible, and none that breaks the line or changes the direction of what follows. Letters that are written
// from right to left are as good as others, and so are emoji that are joined of several.
func Line(text string, most int) (line string, ok bool) {
	line = strings.TrimSpace(text)
	ok = utf8.RuneCountInString(line) <= most && strings.ContainsFunc(line, visible) && !strings.ContainsFunc(line, forbidden)
	return line, ok
}

// forbidden reports characters that break lines, change the direction of what follows, or are no characters at all.
func forbidden(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Co,
		unicode.Noncharacter_Code_Point)
}

// visible reports characters that show something by themselves. The fillers are letters for Unicode and blank on
// screens.
func visible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0': // Hangul fillers, the empty Braille pattern
		return false
	}
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Z, unicode.M, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point)
}
