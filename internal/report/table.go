package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/platformprofile/platformprofile/internal/text"
)

// TableOptions configure tables.
type TableOptions struct {
	// Colour writes verdicts and healths in colours.
	Colour bool
	// Wide adds columns.
	Wide bool
}

// colour is the code of a terminal colour; 0 for none.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
	cyan   colour = 36
)

// paint adds a colour to a text, if colours are enabled.
func (o TableOptions) paint(c colour, text string) string {
	if !o.Colour || c == 0 {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, text)
}

// table aligns the columns of rows. Unlike tabwriter it supports colours, which have no width.
type table struct {
	options TableOptions
	rows    [][]cell
}

type cell struct {
	text   string
	colour colour
}

// columnGap is the space between two columns.
const columnGap = 3

func newTable(options TableOptions, columns ...string) *table {
	t := &table{options: options}
	t.addRow(columns...)
	return t
}

func (t *table) addRow(texts ...string) {
	cells := make([]cell, 0, len(texts))
	for _, text := range texts {
		cells = append(cells, cell{text: text})
	}
	t.addCells(cells...)
}

func (t *table) addCells(cells ...cell) {
	for i := range cells {
		cells[i].text = text.Printable(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(p *lineWriter) {
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
		p.writeLine(line.String())
	}
}

// lineWriter writes printable lines until an error occurs.
type lineWriter struct {
	w   io.Writer
	err error
}

func (p *lineWriter) line(format string, args ...any) {
	p.writeLine(text.Printable(fmt.Sprintf(format, args...)))
}

// writeLine writes a line that is printable already.
func (p *lineWriter) writeLine(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, line)
	}
}

// heading writes an empty line and a title.
func (p *lineWriter) heading(title string) {
	p.line("")
	p.line("%s", title)
}

// fact writes a named value unless it is empty.
func (p *lineWriter) fact(name, value string) {
	if value != "" {
		p.line("  %-15s %s", name+":", value)
	}
}
