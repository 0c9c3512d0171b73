package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// pluginProgram is the name of the program as a plugin of kubectl.
const pluginProgram = "kubectl-platformprofile"

// isPlugin reports whether the program runs as a plugin of kubectl.
func isPlugin(program string) bool {
	return strings.TrimSuffix(program, ".exe") == pluginProgram
}

// invocation matches commands in help texts.
var invocation = regexp.MustCompile(`\bplatformprofile (check|discover|diagnose|explain|catalog)\b`)

// renameToPlugin replaces the name of the program by "kubectl platformprofile" in all help texts.
func renameToPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl platformprofile"}
	var walk func(*cobra.Command)
	walk = func(command *cobra.Command) {
		command.Example = invocation.ReplaceAllString(command.Example, "kubectl platformprofile $1")
		command.Long = invocation.ReplaceAllString(command.Long, "kubectl platformprofile $1")
		for _, subcommand := range command.Commands() {
			walk(subcommand)
		}
	}
	walk(root)
}
