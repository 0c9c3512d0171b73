package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/source/list"
)

// profileOptions select the profiles of a command, from a file or from the cluster.
type profileOptions struct {
	input    *input
	file     string
	selector string
	names    []string

	data     []byte                     // content of the file
	waivers  []*v1alpha1.PlatformWaiver // in the file
	baseline []*v1alpha1.PlatformWaiver // of a saved result
}

func (p *profileOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&p.file, "filename", "f", "",
		`file with PlatformProfiles and PlatformWaivers; "-" for standard input (default: those of the cluster)`)
	flags.StringVarP(&p.selector, "selector", "l", "", "label selector for the PlatformProfiles of the cluster")
}

// readFile reads the file of -f, if it is set, and returns the location of its profiles.
func (p *profileOptions) readFile() (report.Location, error) {
	switch {
	case p.file == "" && p.input.from != "":
		return report.Location{}, errors.New("--from requires a profile: name its file with -f")
	case p.file != "" && p.selector != "":
		return report.Location{}, errors.New("-l selects PlatformProfiles of the cluster and cannot be used with -f: remove one of them")
	case p.file == "":
		return report.Location{}, nil
	case p.file == "-" && p.input.from == "-":
		return report.Location{}, errors.New("-f and --from cannot both read standard input: name a file for one of them")
	}
	var err error
	if p.file == "-" {
		p.data, err = io.ReadAll(p.input.streams.In)
		return report.Location{}, err
	}
	if p.data, err = os.ReadFile(p.file); err != nil {
		return report.Location{}, err
	}
	lines := manifest.LineNumbers(p.data)
	return report.Location{URI: fileURI(p.file), Line: func(name string) int { return lines[name] }}, nil
}

// fileURI returns the URI of a file, relative to the working folder if it contains the file, as code hosts expect it.
func fileURI(file string) string {
	if absolute, err := filepath.Abs(file); err == nil {
		if folder, err := os.Getwd(); err == nil {
			if relative, err := filepath.Rel(folder, absolute); err == nil && filepath.IsLocal(relative) {
				return (&url.URL{Path: filepath.ToSlash(relative)}).String()
			}
		}
		file = absolute
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
}

// read returns the selected profiles, at least one. Call readFile first.
func (p *profileOptions) read(ctx context.Context) ([]*v1alpha1.PlatformProfile, error) {
	if p.file != "" {
		profiles, err := manifest.Profiles(bytes.NewReader(p.data))
		if err == nil {
			p.waivers, err = p.readWaivers()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.file, err)
		}
		return p.selectNamed(profiles, p.file)
	}
	clients, err := p.input.connect()
	if err != nil {
		return nil, err
	}
	profiles, err := list.Profiles(ctx, clients, p.selector)
	if err != nil {
		return nil, withConnectionHint(err)
	}
	if len(profiles) == 0 {
		if p.selector != "" {
			return nil, fmt.Errorf(
				"the cluster has no PlatformProfile with the labels %s: see 'kubectl get platformprofiles --show-labels'", p.selector)
		}
		return nil, errors.New("the cluster has no PlatformProfile: apply one, or name a file with -f")
	}
	return p.selectNamed(profiles, "the cluster")
}

// readWaivers returns the waivers of the file. One that waives nothing whatever the cluster is like is an error.
func (p *profileOptions) readWaivers() ([]*v1alpha1.PlatformWaiver, error) {
	waivers, err := manifest.Waivers(bytes.NewReader(p.data))
	if err != nil {
		return nil, err
	}
	now, err := p.input.evaluationTime()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, waiver := range waivers {
		if err := conformance.ValidateWaiver(waiver, now); err != nil {
			return nil, fmt.Errorf("PlatformWaiver %q: %w", waiver.Name, err)
		}
		if names[waiver.Name] {
			return nil, fmt.Errorf("PlatformWaiver %q: there are two of this name: rename one of them", waiver.Name)
		}
		names[waiver.Name] = true
	}
	return waivers, nil
}

// warnOfUnusedWaivers warns of the waivers in the file that waive nothing in an evaluated profile.
func (p *profileOptions) warnOfUnusedWaivers(profile *v1alpha1.PlatformProfile, now time.Time) {
	for _, waiver := range conformance.WaiversOf(profile.Name, p.waivers) {
		if state, message := conformance.AssessWaiver(waiver, profile, now); state == v1alpha1.WaiverUnused {
			p.input.warn("PlatformWaiver %s waives nothing: %s", waiver.Name, message)
		}
	}
}

// waiversOf returns the waivers of a profile: those of the file, and those of the cluster or of --from with other names.
func (p *profileOptions) waiversOf(profile string) []*v1alpha1.PlatformWaiver {
	all := slices.Clone(p.waivers)
	for _, waiver := range p.input.waivers {
		if !slices.ContainsFunc(p.waivers, func(w *v1alpha1.PlatformWaiver) bool { return w.Name == waiver.Name }) {
			all = append(all, waiver)
		}
	}
	return append(conformance.WaiversOf(profile, all), conformance.WaiversOf(profile, p.baseline)...)
}

// selectNamed returns the profiles with the given names, or all if there are none.
func (p *profileOptions) selectNamed(profiles []*v1alpha1.PlatformProfile, where string) ([]*v1alpha1.PlatformProfile, error) {
	if len(p.names) == 0 {
		return profiles, nil
	}
	var existing []string
	for _, profile := range profiles {
		existing = append(existing, profile.Name)
	}
	for _, name := range p.names {
		if !slices.Contains(existing, name) {
			return nil, fmt.Errorf("no PlatformProfile %q in %s, which has %s", name, where, strings.Join(existing, ", "))
		}
	}
	return slices.DeleteFunc(profiles, func(profile *v1alpha1.PlatformProfile) bool {
		return !slices.Contains(p.names, profile.Name)
	}), nil
}
