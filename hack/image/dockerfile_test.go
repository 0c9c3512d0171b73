package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/version"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const root = "../.."

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	must(t, err)
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// words splits a command line and fills in its variables.
func words(t *testing.T, line string, variables ...string) []string {
	t.Helper()
	found, err := shell.NewLex('\\').ProcessWords(line, shell.EnvsFromSlice(variables))
	must(t, err)
	return found
}

// made are the options by which make image runs this program.
func made(t *testing.T) *options {
	t.Helper()
	command := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "image", "VERSION=v1.2.3", "REVISION=0123456789abcdef")
	command.Dir = root
	out, err := command.Output()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	o, err := parse(words(t, lines[len(lines)-1])[1:])
	must(t, err)
	if o.release.version != "v1.2.3" || !strings.HasSuffix(o.ldflags, "=v1.2.3") || len(o.platforms) != 2 {
		t.Fatalf("make image is %+v", o)
	}
	return o
}

// stages are the Dockerfile's: that which builds, and that of the image.
func stages(t *testing.T) (build, image instructions.Stage, global []instructions.ArgCommand) {
	t.Helper()
	file, err := parser.Parse(bytes.NewReader(read(t, "Dockerfile")))
	must(t, err)
	for _, warning := range file.Warnings {
		t.Errorf("Dockerfile: %s", warning.Short)
	}
	found, global, err := instructions.Parse(file.AST, nil)
	must(t, err)
	if len(found) != 2 {
		t.Fatalf("the Dockerfile has %d stages", len(found))
	}
	return found[0], found[1], global
}

// TestTheDockerfileBuildsTheSameProgram compares how the Dockerfile runs Go with how make image does, for each platform.
func TestTheDockerfileBuildsTheSameProgram(t *testing.T) {
	o := made(t)
	build, _, _ := stages(t)
	if build.Platform != "$BUILDPLATFORM" {
		t.Errorf("it builds on %q: on another platform than the machine's own that takes very long", build.Platform)
	}
	compiled := false
	for _, command := range build.Commands {
		run, ok := command.(*instructions.RunCommand)
		if !ok || !strings.Contains(run.CmdLine[0], "go build") {
			continue
		}
		compiled = true
		for _, platform := range o.platforms {
			got := words(t, run.CmdLine[0], "TARGETOS="+platform.OS, "TARGETARCH="+platform.Architecture, "VERSION="+o.release.version)
			variables, args := o.compile(entrypoint, platform)
			if want := slices.Concat(variables, []string{"go"}, args); !slices.Equal(got, want) {
				t.Errorf("for %s the Dockerfile runs\n%q\nand make image\n%q", platform, got, want)
			}
		}
		must(t, run.Expand(func(word string) (string, error) { return word, nil }))
		var caches []string
		for _, mount := range instructions.GetMounts(run) {
			caches = append(caches, string(mount.Type)+" "+mount.Target)
		}
		if !slices.Equal(caches, []string{"cache /go/pkg/mod", "cache /root/.cache/go-build"}) {
			t.Errorf("it keeps %q", caches)
		}
	}
	if !compiled {
		t.Error("the Dockerfile compiles nothing")
	}
}

// TestTheDockerfilesGo shows that the stage that builds is pinned, to a Go that go.mod allows.
func TestTheDockerfilesGo(t *testing.T) {
	build, _, global := stages(t)
	var variables []string
	for _, command := range global {
		for _, arg := range command.Args {
			variables = append(variables, arg.Key+"="+arg.ValueString())
		}
	}
	image := words(t, build.BaseName, variables...)
	pinned := regexp.MustCompile(`^docker\.io/library/golang:(1\.\d+\.\d+)$`).FindStringSubmatch(image[0])
	asked := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(read(t, "go.mod"))
	if pinned == nil || asked == nil {
		t.Fatalf("the base is %q", image)
	}
	got, want := "go"+pinned[1], "go"+string(asked[1])
	if version.Lang(got) != version.Lang(want) || version.Compare(got, want) < 0 {
		t.Errorf("the Dockerfile builds with %s, and go.mod asks for %s", got, want)
	}
}

// TestTheDockerfileMakesTheSameImage compares what the images hold and how they run.
func TestTheDockerfileMakesTheSameImage(t *testing.T) {
	o := made(t)
	_, image, _ := stages(t)
	if image.BaseName != "scratch" {
		t.Errorf("the image begins with %s", image.BaseName)
	}
	expand := func(word string) (string, error) {
		env := shell.EnvsFromSlice([]string{"VERSION=" + o.release.version, "REVISION=" + o.release.revision})
		found, _, err := shell.NewLex('\\').ProcessWord(word, env)
		return found, err
	}
	got := v1.Config{Labels: map[string]string{}}
	copied := false
	for _, command := range image.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
		case *instructions.LabelCommand:
			must(t, c.Expand(expand))
			for _, label := range c.Labels {
				got.Labels[label.Key] = label.Value
			}
		case *instructions.CopyCommand:
			copied = true
			if c.From != "build" || c.Chmod != "0555" || !slices.Equal(c.SourcePaths, []string{entrypoint}) || c.DestPath != entrypoint {
				t.Errorf("it copies %+v", c)
			}
		case *instructions.WorkdirCommand:
			got.WorkingDir = c.Path
		case *instructions.UserCommand:
			got.User = c.User
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Error("the entry point needs a shell")
			}
			got.Entrypoint = c.CmdLine
		default:
			t.Errorf("the Dockerfile has a %s, and make image does nothing like it", command.Name())
		}
	}
	if want := o.release.config(); !copied || !reflect.DeepEqual(got, want) {
		t.Errorf("the Dockerfile makes\n%+v\nand make image\n%+v", got, want)
	}
}

// TestTheContextHoldsWhatTheOperatorIsBuiltOf shows that .dockerignore lets every file of the program through, and hardly more.
func TestTheContextHoldsWhatTheOperatorIsBuiltOf(t *testing.T) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, ".dockerignore")))
	must(t, err)
	matcher, err := patternmatcher.New(patterns)
	must(t, err)
	ignored := func(name string) bool {
		found, err := matcher.MatchesOrParentMatches(name)
		must(t, err)
		return found
	}
	top, err := filepath.Abs(root)
	must(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", made(t).tags, "-json=Dir,GoFiles,EmbedFiles", ".")
	list.Dir = root
	out, err := list.Output()
	must(t, err)
	files := []string{"go.mod", "go.sum"}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			Dir                 string
			GoFiles, EmbedFiles []string
		}
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		folder, err := filepath.Rel(top, listed.Dir)
		if err != nil || !filepath.IsLocal(folder) {
			continue // of another module
		}
		for _, file := range slices.Concat(listed.GoFiles, listed.EmbedFiles) {
			files = append(files, filepath.Join(folder, file))
		}
	}
	const least = 100
	if len(files) < least {
		t.Fatalf("the operator is built of %q", files)
	}
	for _, file := range files {
		if ignored(file) {
			t.Errorf("the operator is built of %s, and .dockerignore keeps it out", file)
		}
	}
	for _, file := range []string{
		".git/HEAD", "bin/operator", "dist/image.tar", "docs/install.md", "hack/image/main.go",
		"internal/operator/operator_test.go",
	} {
		if !ignored(file) {
			t.Errorf("%s is part of what is sent to the builder", file)
		}
	}
}
