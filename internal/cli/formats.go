package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/version"
)

// conformanceFormats are what check writes.
var conformanceFormats = []string{"table", "wide", "json", "yaml", "junit", "sarif", "html"}

// conformanceWriter writes profiles with their status.
type conformanceWriter func(io.Writer, []*v1alpha1.PlatformProfile) error

// joinFormats lists formats in words.
func joinFormats(formats []string) string {
	last := len(formats) - 1
	return strings.Join(formats[:last], ", ") + " or " + formats[last]
}

func newConformanceWriter(output string, out io.Writer, place report.Location) (conformanceWriter, error) {
	switch output {
	case "table", "wide":
		look := report.TableOptions{Colour: useColours(out), Wide: output == "wide"}
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			for i, profile := range profiles {
				if i > 0 {
					if _, err := fmt.Fprintln(w); err != nil {
						return err
					}
				}
				if err := report.WriteConformance(w, profile, look); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case "json":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeJSON(w, singleOrList(profiles))
		}, nil
	case "yaml":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return writeYAML(w, singleOrList(profiles))
		}, nil
	case "junit":
		return report.WriteJUnit, nil
	case "html":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return report.WriteHTML(w, profiles, time.Now())
		}, nil
	case "sarif":
		return func(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
			return report.WriteSARIF(w, profiles, place, version.Get())
		}, nil
	}
	return nil, fmt.Errorf("-o %s: write %s", output, joinFormats(conformanceFormats))
}

// singleOrList is the profile itself where there is one, as the API would return it, and a list where there are more.
func singleOrList(profiles []*v1alpha1.PlatformProfile) any {
	if len(profiles) == 1 {
		return profiles[0]
	}
	list := &v1alpha1.PlatformProfileList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfileList"}}
	for _, profile := range profiles {
		list.Items = append(list.Items, *profile)
	}
	return list
}
