package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// maxObjects limits the objects that an outcome lists. The counts are exact.
const maxObjects = 16

// Outcome is the result of a rule. It is immutable.
type Outcome struct {
	// State is the combined state of the resources that the rule reads. Unless it is Synced, the rule is not evaluated, and Reason says why.
	State  facts.SourceState
	Reason string

	IsSatisfied bool
	// Matched counts the objects that match the rule, and Satisfied those of them that satisfy it.
	Matched, Satisfied int
	// Objects are the first objects, by key, that determine the outcome: those that fail, or those that satisfy a rule with Any or ExactlyOne.
	Objects []DecidingObject
	// Message is the result of the messageExpression of a list rule.
	Message string
	// Err says why the rule could not be evaluated: ErrTooCostly, or the error for an object.
	Err error
	// Text is the result of a NewMatchRule: the string that all objects have in common; empty if they differ.
	Text string
}

// DecidingObject is an object that determines an outcome.
type DecidingObject struct {
	APIVersion, Kind, Key string
	// Message says what is wrong with the object; empty if it satisfies the rule, or if the rule has no messageExpression.
	Message string
}

// Pending is the outcome of a rule that has not been evaluated yet.
var Pending = &Outcome{State: facts.Pending}

// Evidence returns the object as evidence.
func (o DecidingObject) Evidence() v1alpha1.Evidence {
	namespace, name, namespaced := strings.Cut(o.Key, "/")
	if !namespaced {
		namespace, name = "", o.Key
	}
	return v1alpha1.Evidence{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: namespace, Name: name, Signal: o.Message}
}

// String returns the message of the object, with its key.
func (o DecidingObject) String() string {
	switch {
	case o.Message == "":
		return o.Key
	case mentionsKey(o.Message, o.Key):
		return o.Message
	}
	return o.Key + ": " + o.Message
}

// mentionsKey reports whether a text has the key as a whole word before the first colon.
func mentionsKey(text, key string) bool {
	subject, _, _ := strings.Cut(text, ": ")
	words := strings.FieldsFunc(subject, func(r rune) bool { return strings.ContainsRune(" ,;()\"'", r) })
	return slices.Contains(words, key) || slices.Contains(words, key+":")
}

// Explain returns a message why the rule is not satisfied. message is that of the rule; it may be empty.
func (o *Outcome) Explain(r *Rule, message string) string {
	if r.IsList() && o.Message != "" && o.Matched > 0 {
		return o.Message
	}
	if r.IsList() || o.Matched == 0 || len(o.Objects) == 0 {
		return message
	}
	resources := make([]string, 0, len(r.Resources))
	for _, resource := range r.Resources {
		resources = append(resources, resource.Resource)
	}
	total := fmt.Sprintf("of %d %s", o.Matched, strings.Join(resources, " and "))
	count, list := o.Matched-o.Satisfied, ""
	switch {
	case r.quantifier() == v1alpha1.RequireAll:
		list = fmt.Sprintf("%d %s fail", count, total)
		if o.Objects[0].Message != "" {
			message = "" // the messages of the objects are more specific
		}
	case o.Satisfied > 0:
		count, list = o.Satisfied, fmt.Sprintf("%d %s satisfy it", o.Satisfied, total)
	default:
		list = fmt.Sprintf("none %s satisfies it", total)
	}
	var texts []string
	for _, object := range o.Objects {
		texts = append(texts, object.String())
	}
	list += ": " + strings.Join(texts, "; ")
	if more := count - len(o.Objects); more > 0 {
		list += fmt.Sprintf("; and %d more", more)
	}
	if message != "" {
		list = message + ": " + list
	}
	return list
}
