package words

import (
	"strings"
	"unicode"
)

// Fold takes the case out of a text, so that texts can be searched, in every script and not only in ASCII as SQLite
// would: each character becomes the least of those that differ from it by case only. Databases hold its results: who
// changes it makes them anew.
func Fold(text string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, text)
}
