// Command releases refreshes the facts about releases in the built-in definitions, for the products whose upstream publishes them in a
// machine-readable form. It needs a network. The facts of other products are maintained by hand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const definitions = "internal/catalog/definitions"

// upstream is where a product publishes facts about its releases, and how to read them.
type upstream struct {
	component string
	url       string
	parse     func(data []byte) ([]v1alpha1.Release, error)
}

var upstreams = []upstream{
	{"kubernetes", "https://raw.githubusercontent.com/kubernetes/website/main/data/releases/schedule.yaml", parseKubernetes},
	{"kubernetes", "https://raw.githubusercontent.com/kubernetes/website/main/data/releases/eol.yaml", parseKubernetesEnded},
	{"istio", "https://raw.githubusercontent.com/istio/istio.io/master/data/compatibility/supportStatus.yml", parseIstio},
}

func main() {
	if err := refresh(context.Background(), http.DefaultClient, definitions, time.Now()); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "releases:", err)
		os.Exit(1)
	}
}

// refresh reads all upstreams, and writes their facts into the definitions in a folder. An upstream that cannot be read changes nothing.
func refresh(ctx context.Context, client *http.Client, folder string, now time.Time) error {
	var errs []error
	for _, u := range upstreams {
		if err := u.refresh(ctx, client, folder, now); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", u.url, err))
		}
	}
	return errors.Join(errs...)
}

func (u upstream) refresh(ctx context.Context, client *http.Client, folder string, now time.Time) error {
	data, err := get(ctx, client, u.url)
	if err != nil {
		return err
	}
	releases, err := u.parse(data)
	if err != nil {
		return err
	}
	for i := range releases {
		releases[i].Source, releases[i].AsOf = u.url, v1alpha1.Date(now.Format(time.DateOnly))
	}
	return update(filepath.Join(folder, u.component+".yaml"), releases)
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// update replaces the facts of the same cycles in the file of a definition, and adds the others.
func update(path string, releases []v1alpha1.Release) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var definition v1alpha1.PlatformComponent
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return err
	}
	all := slices.Clone(releases)
	for _, former := range definition.Spec.Releases {
		i := slices.IndexFunc(all, func(r v1alpha1.Release) bool { return r.Cycle == former.Cycle })
		if i < 0 {
			all = append(all, former)
		} else if all[i].Released == "" {
			all[i].Released = former.Released
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.Release) int { return compareCycles(b.Cycle, a.Cycle) })
	block, err := yaml.Marshal(map[string]any{"releases": all})
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(replaceBlock(string(text), string(block))), 0o644)
}

func compareCycles(a, b string) int {
	x, errA := semver.NewVersion(a)
	y, errB := semver.NewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

// releasesBlock is the field spec.releases in the text of a definition, up to the next field.
var releasesBlock = regexp.MustCompile(`(?m)^  releases:\n(?:^  [- ].*\n)*`)

// replaceBlock replaces or appends the field, and leaves the comments and the style of the rest.
func replaceBlock(text, block string) string {
	indented := "  " + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n  ") + "\n"
	if releasesBlock.MatchString(text) {
		return releasesBlock.ReplaceAllLiteralString(text, indented)
	}
	return strings.TrimSuffix(text, "\n") + "\n" + indented
}

func parseKubernetes(data []byte) ([]v1alpha1.Release, error) {
	var content struct {
		Schedules []struct {
			Release       string        `json:"release"`
			ReleaseDate   v1alpha1.Date `json:"releaseDate"`
			EndOfLifeDate v1alpha1.Date `json:"endOfLifeDate"`
		} `json:"schedules"`
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	var releases []v1alpha1.Release
	for _, s := range content.Schedules {
		releases = append(releases, v1alpha1.Release{Cycle: s.Release, Released: s.ReleaseDate, EndOfLife: s.EndOfLifeDate})
	}
	return releases, requireSome(releases)
}

func parseKubernetesEnded(data []byte) ([]v1alpha1.Release, error) {
	var content struct {
		Branches []struct {
			Release       string        `json:"release"`
			EndOfLifeDate v1alpha1.Date `json:"endOfLifeDate"`
		} `json:"branches"`
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	var releases []v1alpha1.Release
	for _, b := range content.Branches {
		releases = append(releases, v1alpha1.Release{Cycle: b.Release, EndOfLife: b.EndOfLifeDate})
	}
	return releases, requireSome(releases)
}

func parseIstio(data []byte) ([]v1alpha1.Release, error) {
	var content []struct {
		Version     string   `json:"version"`
		ReleaseDate string   `json:"releaseDate"`
		EOLDate     string   `json:"eolDate"`
		Kubernetes  []string `json:"k8sVersions"`
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	var releases []v1alpha1.Release
	for _, c := range content {
		if _, err := semver.NewVersion(c.Version); err != nil {
			continue // the development version
		}
		release := v1alpha1.Release{Cycle: c.Version, Released: parseDay(c.ReleaseDate), EndOfLife: parseDay(c.EOLDate)}
		if len(c.Kubernetes) > 0 {
			slices.SortFunc(c.Kubernetes, compareCycles)
			release.Kubernetes = ">=" + c.Kubernetes[0] + " <=" + c.Kubernetes[len(c.Kubernetes)-1]
		}
		releases = append(releases, release)
	}
	return releases, requireSome(releases)
}

// parseDay returns a day; empty for an estimate, which is not a fact.
func parseDay(text string) v1alpha1.Date {
	text = strings.Replace(text, "Sept ", "Sep ", 1)
	for _, layout := range []string{"Jan 2, 2006", "January 2, 2006"} {
		if day, err := time.Parse(layout, text); err == nil {
			return v1alpha1.Date(day.Format(time.DateOnly))
		}
	}
	return ""
}

func requireSome(releases []v1alpha1.Release) error {
	if len(releases) == 0 {
		return errors.New("it has no releases: its form changed")
	}
	return nil
}
