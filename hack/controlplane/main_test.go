package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRunOptionsSurviveTheWayThroughUp(t *testing.T) {
	given := []string{"--dir", t.TempDir(), "--nodes=5", "--without", "kwok,controllers", "--without=scheduler",
		"--audit", "--apiserver-arg", "feature-gates=A=true,B=false", "--apiserver-arg=--v=2", "--timeout=30s", "--bin=/b"}
	opts, err := parseRunOptions("up", given, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{kwokName, controllersName, schedulerName}; !slices.Equal(opts.without, want) {
		t.Errorf("without = %q, want %q", opts.without, want)
	}
	if want := []string{"feature-gates=A=true,B=false", "v=2"}; !slices.Equal(opts.apiserverArgs, want) {
		t.Errorf("apiserverArgs = %q, want %q", opts.apiserverArgs, want)
	}
	if opts.timeout != 30*time.Second || !opts.audit || opts.nodes != 5 {
		t.Errorf("options = %+v", opts)
	}
	again, err := parseRunOptions("run", opts.args(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.args(), opts.args()) {
		t.Errorf("args() read back as %q, want %q", again.args(), opts.args())
	}
}

func TestCommandLineMistakes(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":              {},
		"unknown command":         {"fly"},
		"no directory":            {"run"},
		"too many nodes":          {"run", "--dir=/d", "--nodes=251"},
		"etcd is not optional":    {"run", "--dir=/d", "--without=etcd"},
		"unknown component":       {"stop", "--dir=/d", "kubelet"},
		"no component":            {"stop", "--dir=/d"},
		"argument without value":  {"up", "--dir=/d", "--apiserver-arg=v"},
		"argument without a name": {"up", "--dir=/d", "--apiserver-arg=--=x"},
		"superfluous argument":    {"down", "--dir=/d", "now"},
	} {
		if err := dispatch(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%s: %q is accepted", name, args)
		}
	}
}

func TestFlagsMayFollowTheComponent(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	err := dispatch([]string{"stop", "apiserver", "--dir", dir}, io.Discard, &stderr)
	if err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error = %v (%s), want one about %s", err, &stderr, dir)
	}
}
