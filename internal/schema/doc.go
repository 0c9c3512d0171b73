// Package schema says how the schema that an API server has of one of the two kinds differs from the one that the operator
// was built with, and leaves of a status what such a server keeps. It talks to no cluster.
package schema
