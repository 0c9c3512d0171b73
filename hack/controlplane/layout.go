package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// assetsVariable names the environment variable of controller-runtime's
// envtest for a directory with etcd, kube-apiserver and kubectl.
const assetsVariable = "KUBEBUILDER_ASSETS"

// modulePath is where this module lies in the repository.
var modulePath = filepath.Join("hack", "controlplane")

// repositoryRoot finds the repository from the working directory upwards, and
// then from the executable upwards, so that both "go run ." and a built
// program that is called from elsewhere find it.
func repositoryRoot() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if exe, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(exe))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, modulePath, "go.mod")); err == nil {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("no directory above %s contains %s: call it from inside the repository",
		strings.Join(starts, " or "), filepath.Join(modulePath, "go.mod"))
}

// binaryDir is the directory that "build" writes to and "run" reads from.
func binaryDir(chosen string) (string, error) {
	if chosen != "" {
		return filepath.Abs(chosen)
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "bin", "k8s"), nil
}

// envtestAsset returns the path of a binary that the user provides through
// KUBEBUILDER_ASSETS, or "" where there is none.
func envtestAsset(name string) string {
	dir := os.Getenv(assetsVariable)
	if dir == "" || (name != etcdName && name != apiserverName && name != "kubectl") {
		return ""
	}
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return ""
	}
	return path
}

// errNotBuilt asks for "build" where binaries are missing.
var errNotBuilt = errors.New(`run "controlplane build" first (go -C hack/controlplane run . build)`)

// findBinary returns the path of a binary to run.
func findBinary(bin, name string) (string, error) {
	if path := envtestAsset(name); path != "" {
		return path, nil
	}
	path := filepath.Join(bin, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing: %w", path, errNotBuilt)
	}
	return path, nil
}
