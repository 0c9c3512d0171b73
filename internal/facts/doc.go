// Package facts says what is kept of a live object: as little as recognising a component and judging its health need.
//
// Strip cuts an object down before it is stored anywhere, and Of takes the facts out of it. Both are pure: the package
// talks to no cluster, and what it returns holds no reference to the object that it was given.
package facts
