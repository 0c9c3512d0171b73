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

// readBlocks returns the fenced code blocks of a page in a language.
func readBlocks(t *testing.T, page, language string) []string {
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

// useRenderedFolder changes to a folder with the files that the pages assume.
func useRenderedFolder(t *testing.T) {
	t.Helper()
	t.Chdir(writeFiles(t, map[string]string{
		"profile.yaml": newProfile("{name: runtime-security, capability: runtime-security}"), "rendered/falco.yaml": falcoManifest,
		"rendered.yaml": falcoManifest,
	}))
}

// Every command of the pages that needs no cluster succeeds. A manifest replaces the output of helm and kubectl.
func TestCommandsOfDocs(t *testing.T) {
	var commands []string
	for _, page := range []string{"pipelines.md", "command-line.md"} {
		for _, block := range readBlocks(t, page, "console") {
			commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
		}
	}
	useRenderedFolder(t)
	ran := 0
	for _, line := range commands {
		_, command, piped := strings.Cut(line, " | ")
		if !piped {
			command = line
		}
		args := strings.Fields(command)
		if args[0] != "platformprofile" {
			t.Errorf("%q is not a command of this program", line)
			continue
		}
		if strings.Contains(command, "--wait") {
			continue // needs a cluster: test/e2e waits on a real one
		}
		ran++
		code, _, errOut := run(falcoManifest, args[1:]...)
		if isFinding := args[1] == "upgrade" && errOut == ""; code != ExitOK && !isFinding {
			t.Errorf("%s: exit code %d: %s", line, code, errOut)
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands ran", ran)
	}
}

// The commands of the pipelines succeed and write valid reports.
func TestPipelineExamples(t *testing.T) {
	pages := readBlocks(t, "pipelines.md", "yaml")
	useRenderedFolder(t)
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
				t.Errorf("%s is not used", match[2])
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
		t.Error("platform.html is not an HTML page")
	}
}
