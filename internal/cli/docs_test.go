package cli

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"sigs.k8s.io/yaml"
)

// blocks are the fenced blocks of a page in a language.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s", page, language)
	}
	return found
}

// rendered is a folder as the pages assume it, and the one that the commands run in.
func rendered(t *testing.T) {
	t.Helper()
	t.Chdir(write(t, map[string]string{
		"profile.yaml": profile("{name: runtime-security, capability: runtime-security}"), "rendered/falco.yaml": falco, "rendered.yaml": falco,
	}))
}

// Every command of the pages that needs no cluster runs, where helm and kubectl would have written what they render.
func TestCommandsOfTheDocsRun(t *testing.T) {
	var commands []string
	for _, page := range []string{"pipelines.md", "command-line.md"} {
		for _, block := range blocks(t, page, "console") {
			commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
		}
	}
	rendered(t)
	ran := 0
	for _, line := range commands {
		_, command, piped := strings.Cut(line, " | ")
		if !piped {
			command = line
		}
		args := strings.Fields(command)
		if args[0] != "platformprofile" {
			t.Errorf("%q is no command of this program", line)
			continue
		}
		if strings.Contains(command, "--wait") {
			continue // needs a cluster: test/e2e waits on a real one
		}
		ran++
		if code, _, errOut := run(falco, args[1:]...); code != ExitOK {
			t.Errorf("%s: exit code %d: %s", line, code, errOut)
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands ran", ran)
	}
}

// The commands of the examples run with what they redirect, and the reports that they hand over are such.
func TestTheExamplesForPipelines(t *testing.T) {
	pages := blocks(t, "pipelines.md", "yaml")
	rendered(t)
	written := map[string]string{}
	for _, page := range pages {
		var content map[string]any
		if err := yaml.UnmarshalStrict([]byte(page), &content); err != nil {
			t.Fatalf("%v:\n%s", err, page)
		}
		for _, match := range regexp.MustCompile(`platformprofile (check [^>|\n]+) > (\S+)`).FindAllStringSubmatch(page, -1) {
			code, out, errOut := run("", strings.Fields(match[1])...)
			if code != ExitOK {
				t.Errorf("%s: exit code %d: %s", match[0], code, errOut)
			}
			written[match[2]] = out
			if strings.Count(page, match[2]) < 2 {
				t.Errorf("nobody takes %s", match[2])
			}
		}
	}
	if report, err := sarif.FromString(written["platform.sarif"]); err != nil || report.Validate() != nil {
		t.Errorf("platform.sarif: %v", err)
	}
	var tests junit
	if err := xml.Unmarshal([]byte(written["platform.xml"]), &tests); err != nil || tests.Tests != 1 {
		t.Errorf("platform.xml: %v, %+v", err, tests)
	}
	if !strings.Contains(written["platform.html"], "<!DOCTYPE html>") {
		t.Error("platform.html is no page")
	}
}
