package facts

// SourceState says what is known of a source: a resource that is read.
type SourceState int

// The states of a source.
const (
	// Pending says that the source was not read yet.
	Pending SourceState = iota
	// Synced says that the source is watched, or was read completely.
	Synced
	// NotServed says that the cluster does not serve the resource: nothing of it can exist.
	NotServed
	// Unreadable says that the source cannot be read; a reason says why and what would help.
	Unreadable
)

// String names the state as people read it.
func (s SourceState) String() string {
	switch s {
	case Synced:
		return "Seen"
	case NotServed:
		return "NotServed"
	case Unreadable:
		return "Blind"
	}
	return "Pending"
}
