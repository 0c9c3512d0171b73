package facts

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Container is what is kept of a container of a pod template. Values of flags and environment variables are not kept:
// they may be anybody's secrets, and tell no product.
type Container struct {
	Name string
	// Image is the zero Image where no container runtime would accept the reference.
	Image Image
	// Arguments are those of the command and the arguments, sorted: flags by their names, programs without their paths.
	Arguments []string
	// Env are the names of the environment variables, sorted.
	Env []string
}

func (c Container) equal(o Container) bool {
	return c.Name == o.Name && c.Image == o.Image && slices.Equal(c.Arguments, o.Arguments) && slices.Equal(c.Env, o.Env)
}

// HasArguments tells whether all of these stand in the command or the arguments.
func (c Container) HasArguments(words []string) bool { return containsAll(c.Arguments, words) }

// HasEnv tells whether all of these environment variables are set.
func (c Container) HasEnv(names []string) bool { return containsAll(c.Env, names) }

func containsAll(sorted, wanted []string) bool {
	for _, text := range wanted {
		if _, ok := slices.BinarySearch(sorted, text); !ok {
			return false
		}
	}
	return true
}

func newContainer(c *corev1.Container) Container {
	kept := Container{Name: intern(c.Name)}
	kept.Image, _ = ParseImage(c.Image)
	env := make([]string, len(c.Env))
	for i := range c.Env {
		env[i] = c.Env[i].Name
	}
	kept.Arguments, kept.Env = internSet(collectWords(c)), internSet(env)
	return kept
}

// collectWords are the words of a container's command and arguments. Words of words are the same words.
func collectWords(c *corev1.Container) []string {
	var words []string
	for _, text := range slices.Concat(c.Command, c.Args) {
		if word := normalizeWord(text); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// normalizeWord is what of an argument is kept: a flag's name, a program's name. A script, and what is longer than any name, is
// not kept.
func normalizeWord(text string) string {
	const longest = 64
	if strings.HasPrefix(text, "-") {
		text, _, _ = strings.Cut(text, "=")
	} else {
		text = text[strings.LastIndexByte(text, '/')+1:]
	}
	if len(text) > longest || strings.ContainsAny(text, " \t\n") {
		return ""
	}
	return text
}
