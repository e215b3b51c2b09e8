package words_test

import (
	"testing"

	"github.com/stoa-live/stoa/internal/words"
)

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"coffee", "COFFEE", "Coffee"},
		{"äRGER", "Ärger"},
		{"кофе", "КОФЕ"},
		{"Αθήνας", "ΑΘΉΝΑΣ", "αθήνασ"}, // a sigma has two small letters
		{"kelvin", "\u212aelvin"},
		{"咖啡 100% _", "咖啡 100% _"},
		{"", ""},
	} {
		for _, text := range same {
			if got, want := words.Fold(text), words.Fold(same[0]); got != want {
				t.Errorf("%q becomes %q, and %q becomes %q", text, got, same[0], want)
			}
		}
	}
	for _, other := range [][2]string{{"a", "ä"}, {"a", "b"}, {"a", "а"}} { // the last is Cyrillic
		if words.Fold(other[0]) == words.Fold(other[1]) {
			t.Errorf("%q and %q are the same", other[0], other[1])
		}
	}
}
