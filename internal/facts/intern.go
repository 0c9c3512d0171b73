package facts

import (
	"slices"
	"strings"
	"sync"
)

// maxInterned bounds the number of interned strings, and of interned sets. Each table is emptied when it is full: common strings are soon
// back, and strings that only one object has are dropped.
const maxInterned = 4096

var internTable = struct {
	sync.Mutex
	texts map[string]string
	sets  map[string][]string // by their joined texts
}{texts: map[string]string{}, sets: map[string][]string{}}

// intern returns a shared copy of a string, which does not keep the decoded buffer in memory.
func intern(s string) string {
	if s == "" {
		return ""
	}
	internTable.Lock()
	defer internTable.Unlock()
	return internLocked(s)
}

func internLocked(s string) string {
	if shared, ok := internTable.texts[s]; ok {
		return shared
	}
	if len(internTable.texts) >= maxInterned {
		internTable.texts = map[string]string{}
	}
	shared := strings.Clone(s)
	internTable.texts[shared] = shared
	return shared
}

// internSet returns a shared copy of the texts, sorted and without duplicates. It sorts the given slice.
func internSet(texts []string) []string {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return nil
	}
	key := strings.Join(texts, "\x00") // the API server accepts no NUL in names, flags and variables
	internTable.Lock()
	defer internTable.Unlock()
	if shared, ok := internTable.sets[key]; ok && slices.Equal(shared, texts) {
		return shared
	}
	if len(internTable.sets) >= maxInterned {
		internTable.sets = map[string][]string{}
	}
	shared := make([]string, len(texts))
	for i, text := range texts {
		shared[i] = internLocked(text)
	}
	internTable.sets[key] = shared
	return shared
}
