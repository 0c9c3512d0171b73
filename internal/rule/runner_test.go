package rule

import (
	"fmt"
	"strings"
	"testing"
)

// What compiles must run: the environment that runs rules has every function that the API server's knows, in each of its
// forms, but those that ask for permissions, for which rules have no variable.
func TestTheRunnerKnowsTheDialect(t *testing.T) {
	known, err := environmentOf(NamedCheck)
	if err != nil {
		t.Fatal(err)
	}
	running, err := runner()
	if err != nil {
		t.Fatal(err)
	}
	functions, checked := running.Functions(), 0
	for name, function := range known.Functions() {
		for _, overload := range function.OverloadDecls() {
			if strings.Contains(fmt.Sprint(overload.ArgTypes()), "kubernetes.authorization") {
				continue
			}
			checked++
			found := false
			if runs := functions[name]; runs != nil {
				for _, one := range runs.OverloadDecls() {
					found = found || one.ID() == overload.ID()
				}
			}
			if !found {
				t.Errorf("%s (%s) compiles and does not run", name, overload.ID())
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d functions were looked at", checked)
	}
}

// BenchmarkRounds runs a rule over ever more objects: the time for each must not grow with their number.
func BenchmarkRounds(b *testing.B) {
	program, err := Compile(Check, "objects.all(o, o.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True'))")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1000, 10000, 100000} {
		all := make([]any, n)
		for i := range all {
			all[i] = map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if holds, err := program.Holds(Input{Objects: Once(all...)}); err != nil || !holds {
					b.Fatal(holds, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/object")
		})
	}
}
