package facts

import (
	"slices"
	"strings"
	"sync"
)

// maxInterned bounds how many strings, and how many sets of them, are known. When there are more, it starts anew: what is repeated is soon known again,
// and the names that are some object's own are forgotten. To remember those for good would cost more than they do.
const maxInterned = 4096

var interned = struct {
	sync.Mutex
	texts map[string]string
	sets  map[string][]string // by their texts, one after the other
}{texts: map[string]string{}, sets: map[string][]string{}}

// intern returns one copy of a string that many objects repeat, and lets go of the buffer it was decoded from.
func intern(s string) string {
	if s == "" {
		return ""
	}
	interned.Lock()
	defer interned.Unlock()
	return internLocked(s)
}

func internLocked(s string) string {
	if own, ok := interned.texts[s]; ok {
		return own
	}
	if len(interned.texts) >= maxInterned {
		interned.texts = map[string]string{}
	}
	own := strings.Clone(s)
	interned.texts[own] = own
	return own
}

// internSet returns texts sorted and each once: one copy of a set that many objects repeat. It sorts what it is given.
func internSet(texts []string) []string {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return nil
	}
	key := strings.Join(texts, "\x00") // which is in no name, flag or variable that an API server accepts
	interned.Lock()
	defer interned.Unlock()
	if own, ok := interned.sets[key]; ok && slices.Equal(own, texts) {
		return own
	}
	if len(interned.sets) >= maxInterned {
		interned.sets = map[string][]string{}
	}
	own := make([]string, len(texts))
	for i, text := range texts {
		own[i] = internLocked(text)
	}
	interned.sets[key] = own
	return own
}
