package report

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/catalog"
)

// The page draws the layers that docs/layers.md tells of, in its order.
func TestTheStackIsThatOfTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/layers.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, line := range strings.Split(string(docs), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok && title != "Rules for every layer" {
			told = append(told, title)
		}
	}
	var drawn []string
	for _, l := range stackLayers {
		drawn = append(drawn, l.title)
	}
	if !slices.Equal(told, drawn) {
		t.Errorf("the page draws\n%q\nand docs/layers.md tells of\n%q", drawn, told)
	}
}

func TestEveryComponentHasAPlaceInTheStack(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if layer := stackLayerName(Component{Layer: c.Layer, Capabilities: c.Capabilities}); stackIndex(layer) >= len(stackLayers)-1 {
			t.Errorf("%s of the layer %s lies in none", c.Name, layer)
		}
	}
}

func TestALayerOfAnotherNameLiesOnTopAndBelowTroubleshooting(t *testing.T) {
	if own, mesh, trouble := stackIndex("our-own"), stackIndex("service-mesh"), stackIndex("troubleshooting"); own <= stackIndex("workloads") || own >= trouble || mesh != stackIndex("mesh") {
		t.Errorf("our-own %d, service-mesh %d, troubleshooting %d", own, mesh, trouble)
	}
	if got := layerTitle("our-own"); got != "Our own" {
		t.Errorf("%q", got)
	}
}
