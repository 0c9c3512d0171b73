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

	"github.com/spf13/pflag"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/internal/source/list"
)

// profileOptions says which profiles a command is about: those of a file, or those of the cluster.
type profileOptions struct {
	input    *input
	file     string
	selector string
	names    []string

	data []byte // what the file holds
}

func (p *profileOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&p.file, "filename", "f", "", `the PlatformProfile to hold against; "-" for standard input; without it, those of the cluster`)
	flags.StringVarP(&p.selector, "selector", "l", "", "of the cluster's profiles, those with these labels")
}

// readFile reads the file, where there is one, and says where in it the profiles are.
func (p *profileOptions) readFile() (report.Location, error) {
	switch {
	case p.file == "" && p.input.from != "":
		return report.Location{}, errors.New("--from has no cluster to take profiles from: say with -f, --filename which profile to hold against")
	case p.file != "" && p.selector != "":
		return report.Location{}, errors.New("-l selects among the cluster's profiles, and -f names a file: leave one of them out")
	case p.file == "":
		return report.Location{}, nil
	case p.file == "-" && p.input.from == "-":
		return report.Location{}, errors.New("-f and --from cannot both read standard input: give one of them a file")
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

// fileURI names a file as reports do: relative to the working folder where it lies below it, because that is what the hosts
// of repositories look for.
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

// read returns the profiles that the command is about; there is at least one. place comes first.
func (p *profileOptions) read(ctx context.Context) ([]*v1alpha1.PlatformProfile, error) {
	if p.file != "" {
		profiles, err := manifest.Profiles(bytes.NewReader(p.data))
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
			return nil, fmt.Errorf("the cluster has no PlatformProfile with the labels %s: 'kubectl get platformprofiles --show-labels' lists them", p.selector)
		}
		return nil, errors.New("the cluster has no PlatformProfile: apply one, or give a file with -f")
	}
	return p.selectNamed(profiles, "the cluster")
}

// selectNamed are the profiles that were asked for by name; all, where none was.
func (p *profileOptions) selectNamed(profiles []*v1alpha1.PlatformProfile, where string) ([]*v1alpha1.PlatformProfile, error) {
	if len(p.names) == 0 {
		return profiles, nil
	}
	var there []string
	for _, profile := range profiles {
		there = append(there, profile.Name)
	}
	for _, name := range p.names {
		if !slices.Contains(there, name) {
			return nil, fmt.Errorf("there is no PlatformProfile %q in %s; there is %s", name, where, strings.Join(there, ", "))
		}
	}
	return slices.DeleteFunc(profiles, func(profile *v1alpha1.PlatformProfile) bool { return !slices.Contains(p.names, profile.Name) }), nil
}
