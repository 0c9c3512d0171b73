package report

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/catalog"
)

// The layers of the page are those of docs/layers.md, in the same order.
func TestStackLayersOfDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/layers.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.SplitSeq(string(docs), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok && title != "Rules for every layer" {
			want = append(want, title)
		}
	}
	var got []string
	for _, l := range stackLayers {
		got = append(got, l.title)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the layers are\n%q\nand those of docs/layers.md\n%q", got, want)
	}
}

func TestStackHasLayerOfEveryComponent(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if layer := stackLayerName(Component{Layer: c.Layer, Capabilities: c.Capabilities}); stackIndex(layer) >= len(stackLayers)-1 {
			t.Errorf("%s: the stack has no layer %s", c.Name, layer)
		}
	}
}

func TestStackIndexOfOtherLayers(t *testing.T) {
	custom, mesh, troubleshooting := stackIndex("our-own"), stackIndex("service-mesh"), stackIndex("troubleshooting")
	if custom <= stackIndex("workloads") || custom >= troubleshooting || mesh != stackIndex("mesh") {
		t.Errorf("our-own %d, service-mesh %d, troubleshooting %d", custom, mesh, troubleshooting)
	}
	if got := layerTitle("our-own"); got != "Our own" {
		t.Errorf("%q", got)
	}
}
