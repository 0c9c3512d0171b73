package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

// completionTimeout is how long the completion waits for a cluster.
const completionTimeout = 3 * time.Second

// completeFormats completes --output.
func completeFormats(command *cobra.Command, formats []string) {
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// listForCompletion returns the profiles of the cluster or of the file; none if they cannot be read.
func (p *profileOptions) listForCompletion(ctx context.Context) []*v1alpha1.PlatformProfile {
	p.names = nil
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if p.file == "-" {
		return nil // standard input can only be read once
	}
	if _, err := p.readFile(); err != nil {
		return nil
	}
	profiles, err := p.read(ctx)
	if err != nil {
		return nil
	}
	return profiles
}

// completeProfiles completes the names of profiles that are not given yet.
func (p *profileOptions) completeProfiles(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, profile := range p.listForCompletion(command.Context()) {
		if !slices.Contains(args, profile.Name) {
			names = append(names, profile.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeRequirements completes a profile and then its requirements. If there is only one profile, it completes both.
func (p *profileOptions) completeRequirements(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	profiles := p.listForCompletion(command.Context())
	var names []string
	for _, profile := range profiles {
		switch {
		case len(args) == 0 && len(profiles) > 1:
			names = append(names, profile.Name)
			continue
		case len(args) == 0:
			names = append(names, profile.Name)
		case len(args) > 1 || args[0] != profile.Name:
			continue
		}
		names = append(names, conformance.Compile(&profile.Spec, catalog.New()).Names()...)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeComponents completes the names of the components in the catalog.
func completeComponents(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	components, err := catalog.Builtin()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, component := range components {
		if strings.HasPrefix(component.Name, prefix) {
			names = append(names, component.Name+"\t"+component.DisplayName)
		}
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeContexts completes --context from the kubeconfig.
func completeContexts(flags *genericclioptions.ConfigFlags) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		config, err := flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for name := range config.Contexts {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
