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
func build(source, program, tags, ldflags string, platform *v1.Platform) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", ldflags, "-o", program, ".")
	command.Dir = source
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.Env = append(environment(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOWORK=off")
	return command.Run()
}

// environment is this program's without what would choose another code for the same source.
func environment() []string {
	chosen := []string{"GOFLAGS", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFIPS140", "GODEBUG"}
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(chosen, name)
	})
}
