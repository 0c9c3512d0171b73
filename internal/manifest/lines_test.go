package manifest

import (
	"maps"
	"testing"
)

func TestLineNumbers(t *testing.T) {
	const stream = `kind: Deployment
metadata: {name: d}
---
kind: PlatformProfile
metadata:
  name: one
spec:
  layers:
  - name: network
    requirements:
    - capability: cni
      name: cni
    - name: dns
---
kind: PlatformProfile
metadata: {name: two}
spec: {layers: [{name: a, requirements: [{name: b}]}]}
---
kind: PlatformProfile
spec: 3
`
	want := map[string]int{"one": 6, "one/network/cni": 12, "one/network/dns": 13, "two": 16, "two/a/b": 17, "": 0}
	if got := LineNumbers([]byte(stream)); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := LineNumbers([]byte("a: [")); len(got) != 0 {
		t.Errorf("of invalid YAML: %v", got)
	}
}
