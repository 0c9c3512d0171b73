package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/platformprofile/platformprofile/internal/text"
)

// TableOptions is how what people read is written.
type TableOptions struct {
	// Colour marks verdicts and healths with the colours of a terminal.
	Colour bool
	// Wide adds columns.
	Wide bool
}

// colour is a colour of a terminal, as the number that switches it on; 0 is none.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
	cyan   colour = 36
)

// paint colours a text, unless there is nothing to colour it with.
func (l TableOptions) paint(t colour, text string) string {
	if !l.Colour || t == 0 {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", t, text)
}

// table writes rows in columns that line up, coloured or not.
type table struct {
	w       io.Writer
	options TableOptions
	rows    [][]cell
}

// cell is one text of a table. Its colour takes no room.
type cell struct {
	text   string
	colour colour
}

// columnGap is what lies between two columns.
const columnGap = 3

func newTable(w io.Writer, look TableOptions, columns ...string) *table {
	t := &table{w: w, options: look}
	t.row(columns...)
	return t
}

func (t *table) row(texts ...string) {
	cells := make([]cell, 0, len(texts))
	for _, text := range texts {
		cells = append(cells, cell{text: text})
	}
	t.cells(cells...)
}

func (t *table) cells(cells ...cell) {
	for i := range cells {
		cells[i].text = text.Printable(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) flush() error {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(t.options.paint(c.colour, c.text))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+columnGap))
			}
		}
		if _, err := fmt.Fprintln(t.w, line.String()); err != nil {
			return err
		}
	}
	return nil
}
