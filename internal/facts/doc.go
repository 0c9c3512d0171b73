// Package facts says what is kept of a live object: as little as recognising a component and judging its health need.
//
// Kinds is the table of the kinds that facts are taken from, and Of takes them. Of is pure: the package
// talks to no cluster, and what it returns holds no reference to the object that it was given.
package facts
