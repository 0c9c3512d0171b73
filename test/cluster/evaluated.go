package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
)

// EvaluatedProfile is a profile of generation 3 with the status that an evaluation over an empty cluster gives it. layers is the
// YAML of spec.layers, and waivers are manifests of PlatformWaivers.
func EvaluatedProfile(layers string, waivers ...string) (*v1alpha1.PlatformProfile, error) {
	folder, err := os.MkdirTemp("", "platformprofile-evaluated-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // it holds two small files
	profile := filepath.Join(folder, "profile.yaml")
	for name, text := range map[string]string{
		profile: "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformProfile, metadata: {name: test, generation: 3}, spec: {layers: " + layers + "}}\n---\n" +
			strings.Join(waivers, "\n---\n"),
		filepath.Join(folder, "cluster.yaml"): "{apiVersion: v1, kind: Namespace, metadata: {name: empty}}",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var out, errOut bytes.Buffer
	code := cli.Execute([]string{"check", "-f", profile, "--from", folder, "-o", "json"}, strings.NewReader(""), &out, &errOut)
	evaluated := &v1alpha1.PlatformProfile{}
	if err := json.Unmarshal(out.Bytes(), evaluated); err != nil {
		return nil, fmt.Errorf("check ends with %d: %s%w", code, errOut.String(), err)
	}
	return evaluated, nil
}
