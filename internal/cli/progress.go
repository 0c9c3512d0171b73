package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// progress reports the progress of --wait: in one line on a terminal, which is redrawn, or else in a line for each transition of a verdict.
type progress struct {
	w           io.Writer
	width       int // of the terminal; 0 if there is none
	timeout     time.Duration
	started     time.Time
	hasReported bool
}

func newProgress(w io.Writer, timeout time.Duration) *progress {
	return &progress{w: w, width: terminalWidth(w), timeout: timeout, started: time.Now()}
}

// reportTransitions reports transitions of verdicts. The first evaluation only reports failures.
func (p *progress) reportTransitions(profiles []*v1alpha1.PlatformProfile, transitions []conformance.Transition) {
	if p.width > 0 {
		p.redraw(profiles)
		return
	}
	for _, t := range transitions {
		if !p.hasReported && !t.IsFailure() {
			continue
		}
		line := fmt.Sprintf("%s/%s: ", t.Layer, t.Now.Name)
		if t.From != "" {
			line += string(t.From) + " -> "
		}
		line += string(t.Now.Verdict) + ": " + t.Now.Message
		if t.Now.Waived != nil {
			line += "; " + conformance.DescribeWaiver(t.Now.Waived)
		}
		p.printLine(line)
	}
	p.hasReported = true
}

func (p *progress) printLine(message string) {
	_, _ = fmt.Fprintf(p.w, "%s  %s\n", time.Now().UTC().Format("15:04:05"), text.Printable(message))
}

// redraw redraws the line on a terminal.
func (p *progress) redraw(profiles []*v1alpha1.PlatformProfile) {
	if p.width == 0 {
		return
	}
	var waiting []string
	score := "reading the cluster"
	for i, profile := range profiles {
		if profile.Status.Score != "" {
			if i == 0 {
				score = ""
			}
			score = strings.TrimSpace(score + " " + profile.Status.Score)
		}
		if profile.Status.Reason != "" {
			waiting = append(waiting, profile.Status.Reason)
		}
	}
	elapsed := time.Since(p.started).Round(time.Second)
	line := []rune(text.Printable(fmt.Sprintf("%s of %s  %s  %s", elapsed, p.timeout, score, strings.Join(waiting, "; "))))
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", string(line[:min(len(line), max(p.width-1, 1))]))
}

// clear clears the line on a terminal.
func (p *progress) clear() {
	if p.width > 0 {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// readProgress shows on a terminal how many files are read, once that takes long.
type readProgress struct {
	w     io.Writer
	width int // of the terminal; 0 where there is none

	mu       sync.Mutex
	next     time.Time
	hasShown bool
}

func newReadProgress(w io.Writer) *readProgress {
	return &readProgress{w: w, width: terminalWidth(w), next: time.Now().Add(time.Second)}
}

// update shows how many files of how many are read, at most ten times a second.
func (p *readProgress) update(done, total int) {
	if p.width == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.next) {
		p.next, p.hasShown = now.Add(100*time.Millisecond), true
		_, _ = fmt.Fprintf(p.w, "\r\x1b[Kreading files: %d of %d", done, total)
	}
}

// end clears the line.
func (p *readProgress) end() {
	if p.hasShown {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}
