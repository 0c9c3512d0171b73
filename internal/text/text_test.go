package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		"0123456789":  "0123456789",
		"0123456789a": "0123456…",
		"012345ääää":  "012345…",
		"ääääää":      "äää…",
	} {
		if got := Short(text, 10); got != want {
			t.Errorf("%q is cut to %q and not to %q", text, got, want)
		}
	}
	long := strings.Repeat("a€", 100)
	for limit := 3; limit < 200; limit++ {
		if got := Short(long, limit); len(got) > limit || len(got) < limit-3 || !utf8.ValidString(got) {
			t.Fatalf("cut to %d bytes it is %q", limit, got)
		}
	}
}
