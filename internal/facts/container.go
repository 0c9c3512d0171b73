package facts

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Container holds what signals match in a container of a pod template. It holds no values of flags or environment variables: they may be
// secrets.
type Container struct {
	Name string
	// Image is the zero Image if the reference is invalid.
	Image Image
	// Arguments are the words of command and args, sorted: flags without values, programs without paths.
	Arguments []string
	// Env holds the names of the environment variables, sorted.
	Env []string
}

func (c Container) equal(o Container) bool {
	return c.Name == o.Name && c.Image == o.Image && slices.Equal(c.Arguments, o.Arguments) && slices.Equal(c.Env, o.Env)
}

// HasArguments reports whether command and args contain all of the words.
func (c Container) HasArguments(words []string) bool { return containsAll(c.Arguments, words) }

// HasEnv reports whether the container sets all of the environment variables.
func (c Container) HasEnv(names []string) bool { return containsAll(c.Env, names) }

func containsAll(sorted, required []string) bool {
	for _, text := range required {
		if _, ok := slices.BinarySearch(sorted, text); !ok {
			return false
		}
	}
	return true
}

func newContainer(c *corev1.Container) Container {
	container := Container{Name: intern(c.Name)}
	container.Image, _ = ParseImage(c.Image)
	env := make([]string, len(c.Env))
	for i := range c.Env {
		env[i] = c.Env[i].Name
	}
	container.Arguments, container.Env = internSet(collectWords(c)), internSet(env)
	return container
}

// collectWords returns the normalized words of a container's command and args.
func collectWords(c *corev1.Container) []string {
	var words []string
	for _, text := range slices.Concat(c.Command, c.Args) {
		if word := normalizeWord(text); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// normalizeWord returns the name of the flag or program in an argument; empty for a script or for text that is too long to be a name.
func normalizeWord(text string) string {
	const maxLength = 64
	if strings.HasPrefix(text, "-") {
		text, _, _ = strings.Cut(text, "=")
	} else {
		text = text[strings.LastIndexByte(text, '/')+1:]
	}
	if len(text) > maxLength || strings.ContainsAny(text, " \t\n") {
		return ""
	}
	return text
}
