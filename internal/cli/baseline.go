package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// readBaseline returns the profiles of a saved result: one, or a list. It returns none for the file "".
func readBaseline(file string) ([]v1alpha1.PlatformProfile, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading --baseline: %w", err)
	}
	saved := struct {
		v1alpha1.PlatformProfile
		Items []v1alpha1.PlatformProfile `json:"items"`
	}{}
	if err := yaml.Unmarshal(data, &saved); err != nil {
		return nil, fmt.Errorf("reading --baseline: %s: %w", file, err)
	}
	if saved.Name != "" {
		saved.Items = append(saved.Items, saved.PlatformProfile)
	}
	for i := range saved.Items {
		if len(saved.Items[i].Status.Layers) == 0 {
			return nil, fmt.Errorf("reading --baseline: %s: the profile %q has no verdicts: save the result of check -o json",
				file, saved.Items[i].Name)
		}
	}
	return saved.Items, nil
}

// applyBaseline has the evaluation of a profile ignore what its saved result has.
func (o *checkOptions) applyBaseline(profile string, compiled *conformance.Profile) (*conformance.Profile, error) {
	if o.baselineFile == "" {
		return compiled, nil
	}
	n := slices.IndexFunc(o.baseline, func(saved v1alpha1.PlatformProfile) bool { return saved.Name == profile })
	if n < 0 {
		return nil, fmt.Errorf("--baseline: %s has no result of the profile %q: save one with check -o json", o.baselineFile, profile)
	}
	saved := &o.baseline[n]
	o.profiles.baseline = append(o.profiles.baseline, conformance.BaselineWaivers(saved, filepath.Base(o.baselineFile))...)
	return compiled.WithBaseline(saved), nil
}
