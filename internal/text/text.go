// Package text cuts texts to what there is room for.
package text

import "unicode/utf8"

const ellipsis = "…"

// Short is a text of at most so many bytes, which must be enough for the sign that something was cut off. It is not cut in the
// middle of a character.
func Short(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}
