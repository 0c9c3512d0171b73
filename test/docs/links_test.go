package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var (
	link      = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	code      = regexp.MustCompile("`[^`\n]*`")
	unslugged = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are what the headings of a page are called in links, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		found["#"+strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")] = true
	}
	return found
}

// TestLinks follows every link of the pages that leads into the repository.
func TestLinks(t *testing.T) {
	followed := 0
	for _, page := range append(others(t), append([]string{"CONTRIBUTING.md"}, first...)...) {
		text, err := os.ReadFile(filepath.Join(cluster.Root(), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			to, anchor := match[1], match[2]
			if strings.Contains(to, "://") {
				continue
			}
			followed++
			target := filepath.Join(cluster.Root(), filepath.Dir(page), to)
			if to == "" {
				target = filepath.Join(cluster.Root(), page)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, match[0])
				continue
			}
			if anchor == "" {
				continue
			}
			if there, err := os.ReadFile(target); err != nil || !anchors(string(there))[anchor] {
				t.Errorf("%s: %s: there is no such heading", page, match[0])
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links were followed", followed)
	}
}
