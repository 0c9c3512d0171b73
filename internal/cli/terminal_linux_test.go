package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// openTerminal opens a pseudo terminal. What is written to inside is read from outside.
func openTerminal(t *testing.T) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminal: ", err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	fd := int(outside.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	return outside, inside
}

// runOnTerminal returns what check writes to a terminal.
func runOnTerminal(t *testing.T) string {
	t.Helper()
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile("{name: a, capability: runtime-security}")}), "p.yaml")
	outside, inside := openTerminal(t)
	if code := Execute([]string{"check", "-f", file, "--from", "-"}, strings.NewReader(falcoManifest), inside, io.Discard); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	buffer := make([]byte, 1<<16)
	n, err := outside.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func newFailingProfile(reason string) []*v1alpha1.PlatformProfile {
	p := &v1alpha1.PlatformProfile{}
	p.Status.Score, p.Status.Reason = "3/4", reason
	return []*v1alpha1.PlatformProfile{p}
}

func TestColoursOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("NO_COLOR", "")
	if text := runOnTerminal(t); !strings.Contains(text, "\x1b[32m") {
		t.Errorf("no colours on a terminal: %q", text)
	}
	t.Setenv("NO_COLOR", "1")
	if text := runOnTerminal(t); strings.Contains(text, "\x1b") {
		t.Errorf("colours with NO_COLOR: %q", text)
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if text := runOnTerminal(t); strings.Contains(text, "\x1b") {
		t.Errorf("colours on a dumb terminal: %q", text)
	}
}

func TestProgressOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	outside, inside := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 40, Row: 20}); err != nil {
		t.Fatal(err)
	}
	p := newProgress(inside, time.Minute)
	waiting := newFailingProfile("security: runtime-security Missing, another-one Missing")
	p.reportTransitions(waiting, nil)
	p.redraw(waiting)
	p.clear()
	text := ""
	for buffer := make([]byte, 4096); strings.Count(text, "\r") < 3; {
		n, err := outside.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buffer[:n])
	}
	if strings.Contains(text, "\n") || !strings.Contains(text, "0s of 1m0s  3/4  security") || !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("%q", text)
	}
	for line := range strings.SplitSeq(text, "\r\x1b[K") {
		if len([]rune(line)) >= 40 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
}
