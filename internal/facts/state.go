package facts

// SourceState says what is known of a source: a resource that is read.
type SourceState int

// The states of a source.
const (
	// Pending says that the source was not read yet.
	Pending SourceState = iota
	// Synced says that the source is watched, or was read completely.
	Synced
	// NotServed says that the cluster does not serve the resource: no object of it can exist.
	NotServed
	// Failing says that the source does not answer; a reason says since when, and why.
	Failing
	// Forbidden says that permission is missing; a reason says which.
	Forbidden
)

// IsUnreadable reports whether objects may exist that cannot be read.
func (s SourceState) IsUnreadable() bool { return s == Failing || s == Forbidden }

// String returns the name of the state, as metrics have it.
func (s SourceState) String() string {
	return [...]string{"Pending", "Synced", "NotServed", "Failing", "Forbidden"}[s]
}
