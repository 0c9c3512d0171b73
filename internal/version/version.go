// Package version holds the version that both programs are built from.
package version

import "runtime/debug"

// unreleased is the version of what was built from a checkout.
const unreleased = "devel"

// Version is the version of a release: the linker sets it.
var Version = unreleased

// Get returns the version: that of the release, or of the module as "go install" fetched it.
func Get() string {
	if Version != unreleased {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return Version
}
