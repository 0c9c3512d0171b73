package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// maxObjects is how many objects an outcome names; all of them count.
const maxObjects = 16

// Outcome is what a rule came to. It never changes.
type Outcome struct {
	// State is that of the resources that the rule sees: where it is not Synced, the rule was not evaluated, and Reason says why.
	State  facts.SourceState
	Reason string

	IsSatisfied bool
	// Matched are the objects that the rule is about, and Satisfied those of them that satisfy it.
	Matched, Satisfied int
	// Objects are the first few objects, by key, that the outcome follows from: those that fail, or that satisfy a rule which
	// asks for Any or ExactlyOne.
	Objects []DecidingObject
	// Message is what the rule's messageExpression says of a list.
	Message string
	// Err says why the rule could not be evaluated: ErrTooCostly, or the mistake that an object brought up.
	Err error
	// Text is what a text rule yields: the text that its objects agree on.
	Text string
}

// DecidingObject is an object that an outcome follows from.
type DecidingObject struct {
	APIVersion, Kind, Key string
	// Message says what is wrong with it; empty where the rule has no messageExpression, or the object is in order.
	Message string
}

// Pending is the outcome of a rule that was not evaluated yet.
var Pending = &Outcome{State: facts.Pending}

// Evidence returns the object as evidence.
func (o DecidingObject) Evidence() v1alpha1.Evidence {
	namespace, name, namespaced := strings.Cut(o.Key, "/")
	if !namespaced {
		namespace, name = "", o.Key
	}
	return v1alpha1.Evidence{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: namespace, Name: name, Signal: o.Message}
}

// String is what is wrong with the object, with its name.
func (o DecidingObject) String() string {
	switch {
	case o.Message == "":
		return o.Key
	case mentionsKey(o.Message, o.Key):
		return o.Message
	}
	return o.Key + ": " + o.Message
}

// mentionsKey reports whether a text names an object, as a whole word ahead of any colon.
func mentionsKey(text, key string) bool {
	subject, _, _ := strings.Cut(text, ": ")
	words := strings.FieldsFunc(subject, func(r rune) bool { return strings.ContainsRune(" ,;()\"'", r) })
	return slices.Contains(words, key) || slices.Contains(words, key+":")
}

// Explain says in words why the rule does not hold. message is the rule's own; an empty one is left out.
func (o *Outcome) Explain(r *Rule, message string) string {
	if r.IsList() && o.Message != "" && o.Matched > 0 {
		return o.Message
	}
	if r.IsList() || o.Matched == 0 || len(o.Objects) == 0 {
		return message
	}
	kinds := make([]string, 0, len(r.Resources))
	for _, resource := range r.Resources {
		kinds = append(kinds, resource.Resource)
	}
	of := fmt.Sprintf("of %d %s", o.Matched, strings.Join(kinds, " and "))
	count, list := o.Matched-o.Satisfied, ""
	switch {
	case r.quantifier() == v1alpha1.RequireAll:
		list = fmt.Sprintf("%d %s fail", count, of)
		if o.Objects[0].Message != "" {
			message = "" // the objects say more
		}
	case o.Satisfied > 0:
		count, list = o.Satisfied, fmt.Sprintf("%d %s satisfy it", o.Satisfied, of)
	default:
		list = fmt.Sprintf("none %s satisfies it", of)
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
