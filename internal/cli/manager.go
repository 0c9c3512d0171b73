package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

func newManager(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	return &cobra.Command{Use: "manager"}
}
