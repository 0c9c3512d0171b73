// Package text makes texts of unknown origin printable, and cuts them to what there is room for.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	ellipsis = "…"
	// maxEncodedSize is how many bytes of JSON a byte takes at most.
	maxEncodedSize = len(`\u003c`)
)

// Printable returns a text in one line, with a space for everything that steers a terminal, turns the direction of writing or is
// no UTF-8.
func Printable(s string) string {
	if isPlain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// isPlain reports whether a text is printable ASCII alone, as nearly all are: no rune of it needs to be looked up.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Truncate cuts a text to at most so many bytes, which must be enough for the sign that something was cut off. It is not cut in the
// middle of a character.
func Truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// Bound makes a text fit for a status or an event: printable, and cut so that it takes at most so many bytes in the JSON that the
// API server stores.
func Bound(s string, limit int) string {
	s = Printable(s)
	if len(s)*maxEncodedSize <= limit {
		return s
	}
	size, end := 0, 0 // end is where the text may be cut so that the sign of it has room
	for i, r := range s {
		size += encodedSize(r)
		if size > limit {
			return s[:end] + ellipsis
		}
		if size <= limit-len(ellipsis) {
			end = i + utf8.RuneLen(r)
		}
	}
	return s
}

func encodedSize(r rune) int {
	switch r {
	case '<', '>', '&':
		return maxEncodedSize
	case '"', '\\':
		return len(`\"`)
	}
	return utf8.RuneLen(r)
}
