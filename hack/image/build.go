package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// build makes a static program in which nothing tells where, when or from which copy of the source it was built.
func (o *options) build(program string, platform *v1.Platform) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	variables, args := o.compile(program, platform)
	command := exec.Command("go", args...)
	command.Dir = o.source
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.Env = append(environment(), variables...)
	return command.Run()
}

// compile returns how go is run: the variables that it gets, and its arguments. The Dockerfile has the same.
func (o *options) compile(program string, platform *v1.Platform) (variables, args []string) {
	return []string{"CGO_ENABLED=0", "GOOS=" + platform.OS, "GOARCH=" + platform.Architecture, "GOWORK=off"},
		[]string{"build", "-trimpath", "-buildvcs=false", "-tags", o.tags, "-ldflags", o.ldflags, "-o", program, "."}
}

// environment is this program's without what would choose another code for the same source.
func environment() []string {
	chosen := []string{"GOFLAGS", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFIPS140", "GODEBUG"}
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(chosen, name)
	})
}
