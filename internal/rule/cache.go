package rule

import "sync"

type cacheKey struct {
	kind       Kind
	expression string
}

type cacheEntry struct {
	program *Program
	err     error
}

// cache keeps compiled rules, and mistakes too: a broken rule that twenty profiles share is compiled once. When it is
// full it starts anew, which costs one compilation of what is still in use.
type cache struct {
	mu      sync.Mutex
	limit   int
	entries map[cacheKey]cacheEntry
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: map[cacheKey]cacheEntry{}}
}

func (c *cache) get(key cacheKey, compile func() (*Program, error)) (*Program, error) {
	c.mu.Lock()
	entry, ok := c.entries[key]
	c.mu.Unlock()
	if ok {
		return entry.program, entry.err
	}
	// Two that ask at once compile twice: cheaper than making every other rule wait for this one.
	program, err := compile()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.limit {
		clear(c.entries)
	}
	c.entries[key] = cacheEntry{program, err}
	return program, err
}
