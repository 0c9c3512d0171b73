package packaging

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// bom is what the test reads of a CycloneDX document.
type bom struct {
	BOMFormat, SpecVersion string
	Metadata               struct{ Component component }
	Components             []component
}

type component struct{ Name, Version, PURL string }

// TestTheListNamesAllThatIsInTheImage compares the list with what the Go linker wrote into the program: every module in its
// version, the standard library among them, and nothing else.
func TestTheListNamesAllThatIsInTheImage(t *testing.T) {
	needRelease(t)
	data, err := os.ReadFile(filepath.Join(dist, "operator-linux-"+runtime.GOARCH+".cdx.json"))
	cluster.Must(t, err)
	list := decode[bom](t, data)
	built, err := buildinfo.Read(bytes.NewReader(programOf(t)))
	cluster.Must(t, err)
	if list.BOMFormat != "CycloneDX" || list.Metadata.Component.Name != built.Main.Path || list.Metadata.Component.Version != version {
		t.Errorf("it is a %s of %+v", list.BOMFormat, list.Metadata.Component)
	}
	want := map[string]string{"std": strings.Fields(built.GoVersion)[0]}
	for _, module := range built.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		want[module.Path] = module.Version
	}
	const least = 50
	if len(want) < least {
		t.Fatalf("the program lists only %d modules", len(want))
	}
	for _, c := range list.Components {
		if want[c.Name] != c.Version {
			t.Errorf("it names %s %s, and in the program is %q", c.Name, c.Version, want[c.Name])
		}
		if !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("%s cannot be looked up by %q", c.Name, c.PURL)
		}
		delete(want, c.Name)
	}
	for name := range want {
		t.Errorf("it lacks %s", name)
	}
	t.Logf("%d modules", len(list.Components))
}
