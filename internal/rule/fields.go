package rule

import (
	"maps"
	"slices"
	"strings"
)

// each stands, in place of a field's name, for every element of a list and every value of a map.
const each = "*"

// Fields are those fields of an object that rules read, as a tree by name. What is kept of an object needs to hold no
// others. The zero value names none. Fields that are in use must not be changed.
type Fields struct {
	whole bool // everything below is read
	below map[string]*Fields
	// shared says that the field is read by rules about several kinds alone: another kind may be the one that has it.
	shared bool
}

// AllFields is all fields of an object.
func AllFields() *Fields { return &Fields{whole: true} }

// addPath returns the tree below a path, made where there was none.
func (f *Fields) addPath(path []string) *Fields {
	for _, name := range path {
		next := f.below[name]
		if next == nil {
			next = &Fields{}
			if f.below == nil {
				f.below = map[string]*Fields{}
			}
			f.below[name] = next
		}
		f = next
	}
	return f
}

// share marks the fields as those of a rule about several kinds.
func (f *Fields) share() {
	f.shared = true
	for _, below := range f.below {
		below.share()
	}
}

// Add takes in the fields of another tree.
func (f *Fields) Add(other *Fields) {
	if other == nil {
		return
	}
	f.shared = f.shared && other.shared
	if f.whole {
		return
	}
	if other.whole {
		f.whole, f.below = true, nil
		return
	}
	for name, below := range other.below {
		if f.below[name] == nil {
			f.addPath([]string{name}).shared = below.shared
		}
		f.below[name].Add(below)
	}
}

// Includes tells whether all fields of the other tree are among these.
func (f *Fields) Includes(other *Fields) bool {
	if f.whole || other == nil {
		return true
	}
	if other.whole {
		return false
	}
	for name, below := range other.below {
		if own := f.below[name]; own == nil || !own.Includes(below) {
			return false
		}
	}
	return true
}

// field are the fields that are read below a field; nil where nobody reads it.
func (f *Fields) field(name string) *Fields {
	if f.whole {
		return f
	}
	own, all := f.below[name], f.below[each]
	switch {
	case own == nil || name == each:
		return all
	case all == nil:
		return own
	}
	merged := &Fields{}
	merged.Add(all)
	merged.Add(own)
	return merged
}

// String lists the paths, sorted, for people who look at what is kept.
func (f *Fields) String() string {
	var paths []string
	f.walk("", &paths)
	slices.Sort(paths)
	var text strings.Builder
	for i, path := range paths {
		if i > 0 {
			text.WriteString(" ")
		}
		text.WriteString(path)
	}
	return text.String()
}

func (f *Fields) walk(path string, paths *[]string) {
	switch {
	case f.whole:
		*paths = append(*paths, path+".**")
	case len(f.below) == 0:
		*paths = append(*paths, path)
	}
	for _, name := range slices.Sorted(maps.Keys(f.below)) {
		next := name
		if path != "" {
			next = path + "." + name
		}
		f.below[name].walk(next, paths)
	}
}
