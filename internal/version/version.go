// Package version provides the version of both programs.
package version

import "runtime/debug"

// unreleased is the version of a build from a checkout.
const unreleased = "devel"

// Version is the version of a release. The linker sets it.
var Version = unreleased

// Get returns the version of the release, or of the module that "go install" built.
func Get() string {
	if Version != unreleased {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return Version
}
