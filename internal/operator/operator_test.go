package operator

import (
	"bytes"
	"strings"
	"testing"
)

func TestRunRejectsInvalidFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":            {[]string{"--leader-elected"}, "-leader-elected"},
		"former command":          {[]string{"manager", "--leader-elect"}, `"manager"`},
		"lease that is too short": {[]string{"--leader-elect-lease-duration=1s"}, "5s or more"},
		"lease of half seconds":   {[]string{"--leader-elect-lease-duration=7500ms"}, "whole seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			var output bytes.Buffer
			if code := Run(test.args, &output); code == 0 || !strings.Contains(output.String(), test.want) {
				t.Errorf("exit code %d: %s", code, output.String())
			}
		})
	}
}

func TestRunPrintsHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "-leader-election-namespace", "--version": "devel"} {
		var output bytes.Buffer
		if code := Run([]string{flag}, &output); code != 0 || !strings.Contains(output.String(), want) {
			t.Errorf("%s: exit code %d: %s", flag, code, output.String())
		}
	}
}
