package report

import (
	"io"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/openreports"
)

// WriteOpenReports writes a ClusterReport of openreports.io for each profile, as the operator does, in YAML.
func WriteOpenReports(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
	for i, profile := range profiles {
		object, err := openreports.APIs[0].Object(openreports.New(profile))
		if err != nil {
			return err
		}
		data, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		if i > 0 {
			data = append([]byte("---\n"), data...)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}
