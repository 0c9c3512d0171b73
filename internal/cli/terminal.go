package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminalWidth is the width of the terminal that is written to; 0 where it is none, or one that cannot move its cursor.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// useColours tells whether to colour what is written: to a terminal only, and not where NO_COLOR is set.
func useColours(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && terminalWidth(w) > 0
}
