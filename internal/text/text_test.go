package text

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"":                          "",
		"plain, ä€ 日本 and 🚀":        "plain, ä€ 日本 and 🚀",
		"two\nlines\tand\r a tab":   "two lines and  a tab",
		"\x1b[31mred\x07\x7f\u0085": " [31mred   ",
		"a\u202eb\u200bc\u2028d":    "a b c d",
		"a\xffb\xe2\x82":            "a b  ",
		"a\ufffdb":                  "a b",
	} {
		if got := Printable(s); got != want {
			t.Errorf("Printable(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for s, want := range map[string]string{
		"":            "",
		"0123456789":  "0123456789",
		"0123456789a": "0123456…",
		"012345ääää":  "012345…",
		"ääääää":      "äää…",
	} {
		if got := Truncate(s, 10); got != want {
			t.Errorf("Truncate(%q) = %q, want %q", s, got, want)
		}
	}
	long := strings.Repeat("a€", 100)
	for limit := 3; limit < 200; limit++ {
		if got := Truncate(long, limit); len(got) > limit || len(got) < limit-3 || !utf8.ValidString(got) {
			t.Fatalf("cut to %d bytes it is %q", limit, got)
		}
	}
}

func TestBound(t *testing.T) {
	for s, want := range map[string]string{
		"":                "",
		"0123456789":      "0123456789",
		"0123456789a":     "0123456…",
		"a\nb\x1b\u202ec": "a b  c",
		"ääääää":          "äää…",
		"<":               "<",
		"<a>":             "<a…",
		`"\"\"`:           `"\"\"`,
		`"\"\"x`:          `"\"…`,
		"\xff\xff":        "  ",
	} {
		if got := Bound(s, 10); got != want {
			t.Errorf("Bound(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("plain", 3)
	f.Add("<\"\\>&ä€🚀\x1b\xff\u202e\u2028", 20)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = len(ellipsis) + limit&0xff
		printable, truncated, bounded := Printable(s), Truncate(s, limit), Bound(s, limit)
		for _, made := range []string{printable, bounded} {
			if !utf8.ValidString(made) || strings.ContainsFunc(made, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
				t.Fatalf("%q is not printable", made)
			}
		}
		if len(truncated) > limit || utf8.ValidString(s) && !utf8.ValidString(truncated) {
			t.Fatalf("cut to %d bytes it is %q", limit, truncated)
		}
		if stored, err := json.Marshal(bounded); err != nil || len(stored)-len(`""`) > limit {
			t.Fatalf("%q takes more than %d bytes, %v", stored, limit, err)
		}
	})
}
