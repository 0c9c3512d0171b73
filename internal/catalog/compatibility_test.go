package catalog

import (
	"os"
	"strings"
	"testing"
)

// The table has what upstream's pages say, read independently of the definitions: component, version, version of Kubernetes, supported or
// unsupported, and the address of the page.
func TestCompatibilityTable(t *testing.T) {
	data, err := os.ReadFile("testdata/compatibility.tsv")
	if err != nil {
		t.Fatal(err)
	}
	components, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := New(components...)
	kubernetes := c.Component("kubernetes").Releases
	decided, unknown := 0, 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		columns := strings.Split(strings.TrimSpace(line), "\t")
		if len(columns) != 5 || !strings.HasPrefix(columns[4], "https://") {
			t.Fatalf("not component, version, Kubernetes, supported or unsupported, address: %q", line)
		}
		component := c.Component(columns[0])
		if component == nil {
			t.Errorf("no definition of %s", columns[0])
			continue
		}
		version, ok := ParseVersion(columns[2])
		if !ok {
			t.Fatalf("%q is not a version", columns[2])
		}
		result, got := component.Releases.CompatibilityWith(columns[1], NewKubernetesRelease(version, kubernetes)), "unsupported"
		switch {
		case !result.IsKnown:
			unknown++ // the definition leaves the fact out, which is not wrong
			continue
		case result.IsCompatible:
			got = "supported"
		}
		decided++
		if got != columns[3] {
			t.Errorf("%s %s on Kubernetes %s is %s, and upstream's page says %s: %s", columns[0], columns[1], columns[2], got, columns[3],
				columns[4])
		}
	}
	if decided < 200 {
		t.Errorf("the definitions decide %d rows, and leave %d open", decided, unknown)
	}
	t.Logf("%d rows are decided, %d are open", decided, unknown)
}
