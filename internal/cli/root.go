package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/platformprofile/platformprofile/internal/text"
	"github.com/platformprofile/platformprofile/internal/version"
)

// Exit codes.
const (
	// ExitOK means success, and that all profiles are conformant.
	ExitOK = 0
	// ExitFound means that a profile is not conformant, or that problems were found.
	ExitFound = 1
	// ExitError means that the command failed, or that conformance is unknown.
	ExitError = 2
)

// exitCode is an error that only sets the exit code, because the command has written its output.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Execute runs the command line and returns its exit code.
func Execute(args []string, in io.Reader, out, errOut io.Writer) int {
	return ExecuteAs("platformprofile", args, in, out, errOut)
}

// ExecuteAs runs the command line under the name of a program. If it is a plugin of kubectl, the help texts say so.
func ExecuteAs(program string, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot(genericclioptions.IOStreams{In: in, Out: out, ErrOut: errOut})
	if isPlugin(program) {
		renameToPlugin(root)
	}
	root.SetArgs(args)
	err := root.Execute()
	var code exitCode
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &code):
		return int(code)
	}
	// An error may contain control characters from a file or a cluster.
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = "Error: " + line
		}
		_, _ = fmt.Fprintln(errOut, text.Printable(line))
	}
	return ExitError
}

func newRoot(streams genericclioptions.IOStreams) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:   "platformprofile",
		Short: "Discover the platform components of a cluster and check them against a profile",
		Long: `platformprofile discovers the platform components of a Kubernetes cluster with their version and health, and evaluates
the cluster against a PlatformProfile. The operator does the same continuously.

The commands are read-only: they never change the cluster.`,
		Version:       version.Get(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	flags.AddFlags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("context", completeContexts(flags))
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w: see '%s --help'", err, command.CommandPath())
	})
	root.AddCommand(
		newDiscover(flags, streams), newCheck(flags, streams), newExplain(flags, streams), newUpgrade(flags, streams),
		newDiagnose(flags, streams),
		newCatalog(streams))
	return root
}
