package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the goals as a table, and below it what could not be measured or judged.
func (f *Figures) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := [][]string{{"FIGURE", "GOAL", "MEASURED", "MET"}}
	for _, g := range f.Goals {
		met := "-"
		if g.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*g.Met]
		}
		rows = append(rows, []string{g.Figure, g.Goal, g.Measured, met})
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, failed := range f.Failed {
		if _, err := fmt.Fprintln(w, "not measured:", failed); err != nil {
			return err
		}
	}
	return nil
}
