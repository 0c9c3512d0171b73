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

// Exit codes, as pipelines read them.
const (
	// ExitOK says that the command did what it was asked, and that a checked profile is conformant.
	ExitOK = 0
	// ExitFound says that a checked profile is not conformant.
	ExitFound = 1
	// ExitError says that the command failed, or that it could not tell.
	ExitError = 2
)

// exitCode ends the program with an exit code and no message: what is to be said has been said.
type exitCode int

func (o exitCode) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// Execute runs the command line and returns its exit code.
func Execute(args []string, in io.Reader, out, errOut io.Writer) int {
	return ExecuteAs("platformprofile", args, in, out, errOut)
}

// ExecuteAs runs the command line of a program of this name: as a plugin of kubectl it says so in its texts.
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
	// An error may quote what a file or a cluster holds, which must not steer the terminal.
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
		Short: "What a cluster's platform is made of, and whether it is what it should be",
		Long: `platformprofile recognises what a Kubernetes cluster's platform is made of: which components, in which version and
health. It holds that against a PlatformProfile, once, as the operator does all the time.

It only reads: it never changes the cluster.`,
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
		return fmt.Errorf("%w: '%s --help' lists the flags", err, command.CommandPath())
	})
	root.AddCommand(newDiscover(flags, streams), newCheck(flags, streams), newExplain(flags, streams), newDiagnose(flags, streams), newCatalog(streams))
	return root
}
