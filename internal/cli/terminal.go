package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminalWidth returns the width of a terminal, or 0 if w is not a terminal that can move its cursor.
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

// useColours reports whether to write colours: only to a terminal, and not if NO_COLOR is set.
func useColours(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && terminalWidth(w) > 0
}
