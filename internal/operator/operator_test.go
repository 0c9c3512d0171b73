package operator

import (
	"bytes"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"a flag that it does not have":   {[]string{"--leader-elected"}, "-leader-elected"},
		"the former command":             {[]string{"manager", "--leader-elect"}, `"manager"`},
		"a lease that nobody could keep": {[]string{"--leader-elect-lease-duration=1s"}, "5s or more"},
		"a lease of half seconds":        {[]string{"--leader-elect-lease-duration=7500ms"}, "whole seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			if code := Run(test.args, &said); code == 0 || !strings.Contains(said.String(), test.says) {
				t.Errorf("exit code %d: %s", code, said.String())
			}
		})
	}
}

func TestRunHelps(t *testing.T) {
	for flag, says := range map[string]string{"--help": "-leader-election-namespace", "--version": "devel"} {
		var said bytes.Buffer
		if code := Run([]string{flag}, &said); code != 0 || !strings.Contains(said.String(), says) {
			t.Errorf("%s: exit code %d: %s", flag, code, said.String())
		}
	}
}
