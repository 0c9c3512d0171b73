// Package text makes text from clusters and files printable, truncates it, and counts nouns.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	ellipsis = "…"
	// maxEncodedSize is the maximum number of bytes of a byte in JSON.
	maxEncodedSize = len(`\u003c`)
)

// Printable returns a string in one line. It replaces control characters, characters that change the text direction, and invalid UTF-8 by
// spaces.
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

// isPlain reports whether a string is printable ASCII, as most are. Its runes need no lookup.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Count returns a number with its noun, whose plural ends in s.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Truncate cuts a string to at most limit bytes, at the boundary of a character. The limit must be enough for the ellipsis.
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

// Bound returns a string for a status or an event: printable, and cut to at most limit bytes in the JSON that the API server stores.
func Bound(s string, limit int) string {
	s = Printable(s)
	if len(s)*maxEncodedSize <= limit {
		return s
	}
	size, end := 0, 0 // end is where the string can be cut and the ellipsis fits
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
