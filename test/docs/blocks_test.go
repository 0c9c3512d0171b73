package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// block is one fenced block of a page.
type block struct {
	page, language, text string
	line                 int
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// blocks are the fenced blocks of a page, in their order. One without a language is a picture and no block.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), page))
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	var open *block
	for n, line := range strings.Split(string(data), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{page: page, language: strings.TrimSpace(fence), line: n + 1}
		case isFence:
			if open.language != "" {
				found = append(found, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s: the block is not closed", open)
	}
	return found
}

// command is one command of a block, with its output on the page.
type command struct {
	text, wantOutput string
	line             int
}

// commands takes a block apart. Where one line begins with "$ ", such lines are the commands and the others their output;
// otherwise every line is a command. A here-document and a line that ends in a backslash go on.
func (b block) commands() []command {
	session := strings.HasPrefix(b.text, "$ ") || strings.Contains(b.text, "\n$ ")
	var found []command
	end, goesOn := "", false
	for n, line := range strings.Split(strings.TrimRight(b.text, "\n"), "\n") {
		last := len(found) - 1
		begins, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case end != "" || goesOn:
			found[last].text += "\n" + line
			if line == end {
				end = ""
			}
		case session && !isCommand && last < 0:
			continue // what a shell printed before
		case session && !isCommand:
			found[last].wantOutput += line + "\n"
			continue
		case strings.TrimSpace(line) == "":
			continue
		default:
			found = append(found, command{text: begins, line: b.line + n + 1})
			if _, word, here := strings.Cut(line, "<<'"); here {
				end, _, _ = strings.Cut(word, "'")
			}
		}
		goesOn = end == "" && strings.HasSuffix(line, `\`)
	}
	return found
}
