// Package inventory keeps what is found in a cluster: which components are installed where, in which version and health,
// on what evidence, and what could not be looked at.
//
// Facts come in through feeds, one for each source; each is matched against the catalog once, when it arrives or changes.
// What comes out are snapshots that never change, and word of which components a change touched. The package talks to no
// cluster: the operator, the one-shot command line and the command line over files feed it alike.
package inventory
