package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// pluginProgram is what the program is called where it is a plugin of kubectl.
const pluginProgram = "kubectl-platformprofile"

// isPlugin tells by its name whether the program runs as a plugin of kubectl.
func isPlugin(program string) bool {
	return strings.TrimSuffix(program, ".exe") == pluginProgram
}

// invocation is the program's name where a text shows a command to type.
var invocation = regexp.MustCompile(`\bplatformprofile (check|discover|diagnose|explain|catalog)\b`)

// renameToPlugin has all texts say "kubectl platformprofile", which is what its user typed.
func renameToPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl platformprofile"}
	var walk func(*cobra.Command)
	walk = func(command *cobra.Command) {
		command.Example = invocation.ReplaceAllString(command.Example, "kubectl platformprofile $1")
		command.Long = invocation.ReplaceAllString(command.Long, "kubectl platformprofile $1")
		for _, below := range command.Commands() {
			walk(below)
		}
	}
	walk(root)
}
