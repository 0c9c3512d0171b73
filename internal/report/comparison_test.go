package report

import (
	"bytes"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	before := Discovery{Components: []Component{
		{Name: "cilium", Installations: []Installation{{Namespace: "kube-system", Version: "1.17.0"}}},
		{Name: "velero", Installations: []Installation{{Namespace: "velero", Version: "1.15.0"}}},
		{Name: "grafana", Installations: []Installation{{Namespace: "b", Version: "12.0.0"}, {Namespace: "a", Version: "11.0.0"}}},
		{Name: "loki", Installations: []Installation{{Namespace: "a", Version: "6.0.0", VersionOf: versionOfChart}}},
	}}
	after := Discovery{Components: []Component{
		{Name: "cilium", Installations: []Installation{{Namespace: "kube-system", Version: "1.18.2"}}},
		{Name: "grafana", Installations: []Installation{{Namespace: "a", Version: "11.0.0"}, {Namespace: "c", Version: "12.0.0"}}},
		{Name: "loki", Installations: []Installation{{Namespace: "a", Version: "6.0.0"}}},
	}}
	var out bytes.Buffer
	if err := after.Compare(before).WriteTable(&out, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"CHANGE COMPONENT NAMESPACE BEFORE AFTER",
		"added grafana c - 12.0.0",
		"removed grafana b 12.0.0 -",
		"removed velero velero 1.15.0 -", //nolint:dupword // component and namespace
		"version cilium kube-system 1.17.0 1.18.2",
		"version loki a chart 6.0.0 6.0.0",
		"1 added, 2 removed, 2 in another version.",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if changes := after.Compare(after).Changes; len(changes) != 0 { //nolint:gocritic // with itself, on purpose
		t.Errorf("a Discovery differs from itself: %v", changes)
	}
}
