// Package crd embeds the generated CustomResourceDefinitions, so that the command line validates a manifest by the very
// schema that the API server does.
package crd

import "embed"

// Bases holds the CustomResourceDefinitions, bases/*.yaml.
//
//go:embed bases/*.yaml
var Bases embed.FS
