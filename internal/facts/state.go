package facts

// SourceState is the state of a source: a resource that is read.
type SourceState int

// The states of a source.
const (
	// Pending means that the source has not synced yet.
	Pending SourceState = iota
	// Synced means that the source is watched, or was listed completely.
	Synced
	// NotServed means that the cluster does not serve the resource: no object of it can exist.
	NotServed
	// Failing means that the source cannot be read; the reason says since when, and why.
	Failing
	// Forbidden means that permission is missing; the reason says which.
	Forbidden
)

// IsUnreadable reports whether objects may exist that cannot be read.
func (s SourceState) IsUnreadable() bool { return s == Failing || s == Forbidden }

// String returns the name of the state, which is its label in metrics.
func (s SourceState) String() string {
	return [...]string{"Pending", "Synced", "NotServed", "Failing", "Forbidden"}[s]
}
