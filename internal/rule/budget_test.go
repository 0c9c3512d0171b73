package rule

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plenty is what a hostile cluster and a hostile author bring together: many objects, and some large ones.
func plenty() (many, large []any) {
	const megabyte = 1 << 20
	text := strings.Repeat("ab", megabyte/2)
	for i := range 10 {
		large = append(large, Everything().Keep(map[string]any{"data": map[string]any{"x": text}, "metadata": map[string]any{"name": fmt.Sprint("n", i)}}))
	}
	for i := range 10000 {
		many = append(many, Everything().Keep(map[string]any{"metadata": map[string]any{"name": fmt.Sprint("n", i), "labels": map[string]any{"a": "b"}}}))
	}
	return many, large
}

// What a rule does in the rounds of its loops is bounded like the rounds themselves: it ends in seconds and takes little
// memory, whatever it is made of and whatever objects hold.
func TestNoRuleCostsMore(t *testing.T) {
	many, large := plenty()
	double := strings.Repeat(".map(a, a + a)", 12)
	for expression, objects := range map[string][]any{
		"objects.all(a, objects.all(b, a.metadata.name == b.metadata.name || true))":                          many,
		"objects.all(a, objects == objects)":                                                                  many,
		"objects.all(a, a in objects || true)":                                                                many,
		"sets.equivalent(objects, objects)":                                                                   many,
		"sets.contains(objects, objects) || true":                                                             many,
		"objects.distinct().size() > 0":                                                                       many,
		"objects.map(o, o.metadata.name).distinct().size() > 0":                                               many,
		"objects.all(a, [a, a, a, a, a, a, a, a].distinct().size() > objects.map(b, b.metadata.name).size())": many,
		"objects.map(o, o.data.x)" + double + ".size() > 0":                                                   large,
		"objects.map(o, string(o.data.x))" + double + ".size() > 0":                                           large,
		"objects.all(o, o.data.x.matches('" + strings.Repeat("(a|b|ab)*", 100) + "c') || true)":               large,
		"objects.all(o, o.data.x.matches('a{900}c') || true)":                                                 large,
		"objects.all(o, o.data.x.matches(o.data.x + 'c') || true)":                                            large,
		"objects.all(o, o.data.x.find('" + strings.Repeat("(a|b)*", 100) + "c') == 'x' || true)":              large,
		"objects.all(o, o.data.x.findAll('.').size() > 0)":                                                    large,
		"objects.all(o, o.data.x.replace('a', '" + strings.Repeat("x", 1000) + "').size() > 0)":               large,
		"objects.all(o, o.data.x.split('').size() > 0)":                                                       large,
		"objects.all(o, o.data.x.indexOf('" + strings.Repeat("ab", 100) + "c') == -1)":                        large,
		"objects.map(o, o.data.x).join(string(objects[0].data.x)).size() > 0":                                 large,
		"objects.all(o, '%s%s%s%s'.format([o.data.x, o.data.x, o.data.x, objects.map(p, p.data.x)]) != '')":   large,
		"objects.all(o, '%.999999999f'.format([1.5]) != '')":                                                  large,
		"objects.all(o, lists.range(o.data.x.size() * 1000).size() > 0)":                                      large,
		"objects.all(o, [1, 2, 3, 4, 5, 6, 7, 8].all(i, o.data.x.lowerAscii().upperAscii().reverse() != ''))": large,
	} {
		program, err := Compile(Check, expression)
		if err != nil {
			t.Logf("refused when compiled: %.70s", expression)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := worked(t)
		_, err = program.Holds(Input{Objects: Once(objects...)})
		took := worked(t) - start
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s, %d MiB: %v: %.70s", took.Round(time.Millisecond), allocated, err, expression)
		// Unbounded, each of these takes minutes or gigabytes.
		if took > 20*time.Second {
			t.Errorf("it took %s: %.100s", took, expression)
		}
		if allocated > 2048 {
			t.Errorf("it allocated %d MiB: %.100s", allocated, expression)
		}
		if err != nil && !errors.Is(err, ErrTooCostly) {
			t.Errorf("%v: %.100s", err, expression)
		}
	}
}

// What honest rules ask of large clusters stays far below the bounds.
func TestHonestRulesAreNotCutOff(t *testing.T) {
	var objects []any
	for i := range 10000 {
		objects = append(objects, Everything().Keep(map[string]any{
			"metadata": map[string]any{"name": fmt.Sprint("certificate-", i), "namespace": fmt.Sprint("team-", i%100), "annotations": map[string]any{"a": "b"}},
			"spec":     map[string]any{"provisioner": fmt.Sprint("driver-", i%20)},
			"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True", "message": strings.Repeat("long ", 20)}}},
		}))
	}
	var drivers []any
	for i := range 50 {
		drivers = append(drivers, Everything().Keep(map[string]any{"metadata": map[string]any{"name": fmt.Sprint("driver-", i)}}))
	}
	for _, expression := range []string{
		"objects.all(o, o.?status.?conditions.orValue([]).exists(c, c.type == 'Ready' && c.status == 'True'))",
		"objects.all(o, related.drivers.exists(d, d.metadata.name == o.spec.provisioner))",
		"objects.all(o, o.spec.provisioner in related.drivers.map(d, d.metadata.name))",
		"objects.map(o, o.metadata.namespace + '/' + o.metadata.name).join(', ').size() > 1000",
		"objects.all(o, o.metadata.name.matches('^[a-z]+-[0-9]+$'))",
		"objects.map(o, o.metadata.name).size() == 10000",
		"objects.all(o, o.status.conditions[0].message.contains('long'))",
		"objects.all(o, o.metadata.name.split('-')[0].upperAscii() == 'CERTIFICATE')",
	} {
		program, err := Compile(NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		holds, err := program.Holds(Input{Objects: Once(objects...), Related: map[string][]any{"drivers": drivers}})
		if err != nil || !holds {
			t.Errorf("%s: %v, %v", expression, holds, err)
		}
		t.Logf("%s: %s", time.Since(start).Round(time.Millisecond), expression)
	}
}

func TestWhatARuleSaysIsCut(t *testing.T) {
	text := strings.Repeat("ä", 5<<20)
	for expression, kind := range map[string]Kind{"objects[0].text": Version, "objects[0][objects[0].text]": Version} {
		program, err := Compile(kind, expression)
		if err != nil {
			t.Fatal(err)
		}
		said, err := program.Text(Input{Objects: Once(map[string]any{"text": text})})
		if err != nil {
			said = err.Error()
		}
		if len(said) > maxText || !strings.HasSuffix(said, "ä…") {
			t.Errorf("%s says %d bytes, which end in %q", expression, len(said), said[max(0, len(said)-8):])
		}
	}
}

// worked is the CPU time of this process: other programs may share the machine.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
