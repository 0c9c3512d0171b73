package diagnosis

import (
	"cmp"
	_ "embed" // for causes.yaml
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

//go:embed causes.yaml
var causesYAML []byte

// causeGroup is a group of causes.yaml, which describes the fields.
type causeGroup struct {
	Symptoms []string `json:"symptoms"`
	From     []string `json:"from"`
	Causes   []*cause `json:"causes"`
}

type cause struct {
	Pattern  string   `json:"pattern"`
	Level    int      `json:"level"`
	Example  string   `json:"example"`
	Cause    string   `json:"cause"`
	More     []string `json:"more"`
	Commands []string `json:"commands"`
	Node     bool     `json:"node"`

	expression *regexp.Regexp
	position   int // in causes.yaml
}

// rankUnknown is the rank of a text without an entry: it says more than one that only says that something took too long (level 3).
const rankUnknown = 5

func (c *cause) rank() int { return 2 * c.Level }

// causeGroups returns the groups of causes.yaml. They are compiled on first use: nothing is diagnosed in a healthy cluster.
var causeGroups = sync.OnceValue(func() []causeGroup { return mustParseCauses(causesYAML) })

func mustParseCauses(data []byte) []causeGroup {
	var groups []causeGroup
	if err := yaml.UnmarshalStrict(data, &groups); err != nil {
		panic("causes.yaml: " + err.Error())
	}
	position := 0
	for _, group := range groups {
		for _, c := range group.Causes {
			position++
			c.position, c.Level = position, cmp.Or(c.Level, 1)
			c.expression = regexp.MustCompile("(?is)" + c.Pattern)
		}
	}
	return groups
}

// report is a text that a part of the cluster wrote: an event, or a message in a status.
type report struct {
	// reason is that of the event, of the state of the container, or of the condition.
	reason, message string
	// source is who wrote it, such as "the kubelet".
	source string
	// first and last are when it was observed; zero if that is unknown.
	first, last time.Time
	// count is how often.
	count int32
}

// eventReports returns the reports of the events with one of the reasons that are selected.
func eventReports(events []corev1.Event, isSelected func(*corev1.Event) bool) []report {
	var reports []report
	for i := range events {
		if e := &events[i]; isSelected(e) {
			message := strings.TrimPrefix(e.Message, "(combined from similar events): ") // client-go, tools/record
			reports = append(reports, report{e.Reason, message, sourceOf(e), firstObserved(e), lastObserved(e), countOf(e)})
		}
	}
	return reports
}

// sources are the names of the components that write events.
var sources = map[string]string{
	"default-scheduler": "the scheduler", "attachdetach-controller": "the attach controller",
	"persistentvolume-controller": "the volume controller",
}

func sourceOf(e *corev1.Event) string {
	component := cmp.Or(e.Source.Component, e.ReportingController, "kubelet")
	return cmp.Or(sources[component], "the "+strings.ReplaceAll(component, "-", " "))
}

// find returns the entry that decides a report for a symptom, or nil.
func find(symptom string, r report) (*cause, []int) {
	var found *cause
	var match []int
	for _, group := range causeGroups() {
		if !slices.Contains(group.Symptoms, symptom) || !slices.ContainsFunc(group.From, func(from string) bool {
			matches, _ := path.Match(from, r.reason)
			return matches
		}) {
			continue
		}
		for _, c := range group.Causes {
			if found != nil && found.Level <= c.Level {
				continue
			}
			if m := c.expression.FindStringSubmatchIndex(r.message); m != nil {
				found, match = c, m
			}
		}
	}
	return found, match
}

// explanation is what reports say about a symptom.
type explanation struct {
	// causes are the causes, the deciding one first. A report without an entry is quoted.
	causes []string
	// quote is the deciding report in its own words; empty if it is a cause itself.
	quote    string
	commands []string
	// since is when the deciding report was first observed.
	since time.Time
	// isNode reports whether the fault is one of the node.
	isNode bool
}

// all returns the causes, and the words that they are taken from.
func (e explanation) all() []string {
	if e.quote == "" {
		return e.causes
	}
	const maxCauses = 3 // and the quote; a status has four
	return append(slices.Clone(e.causes[:min(maxCauses, len(e.causes))]), e.quote)
}

// match is a report with the entry that is for it.
type match struct {
	report
	entry *cause
	index []int
}

func (m match) rank() int {
	if m.entry == nil {
		return rankUnknown
	}
	return m.entry.rank()
}

func (m match) position() int {
	if m.entry == nil {
		return 0
	}
	return m.entry.position
}

// explain evaluates all reports of a symptom: the one with the lowest rank decides, and the causes of others are added. vars are the
// variables of the texts, beside the named groups of the pattern.
func explain(symptom string, vars map[string]string, reports []report) explanation {
	matches := make([]match, 0, len(reports))
	for _, r := range reports {
		if strings.TrimSpace(r.message) != "" {
			entry, index := find(symptom, r)
			matches = append(matches, match{r, entry, index})
		}
	}
	if len(matches) == 0 {
		return explanation{}
	}
	slices.SortStableFunc(matches, func(a, b match) int {
		return cmp.Or(a.rank()-b.rank(), a.position()-b.position(), b.last.Compare(a.last), strings.Compare(a.message, b.message))
	})
	e := explanation{since: matches[0].first}
	add := func(text string) {
		if text != "" && !slices.Contains(e.causes, text) {
			e.causes = append(e.causes, text)
		}
	}
	for _, m := range matches {
		if m.entry == nil || m.rank() > matches[0].rank() && m.rank() > rankUnknown {
			continue
		}
		expand := expander(m, vars)
		add(tidy(os.Expand(m.entry.Cause, expand)))
		for _, command := range m.entry.Commands {
			if command = expandCommand(command, expand); command != "" && !slices.Contains(e.commands, command) {
				e.commands = append(e.commands, command)
			}
		}
	}
	first := matches[0]
	if first.entry == nil {
		e.causes = slices.Insert(e.causes, 0, quoteOf(first.report))
		return e
	}
	e.quote, e.isNode = quoteOf(first.report), first.entry.Node
	for _, text := range first.entry.More {
		add(tidy(os.Expand(text, expander(first, vars))))
	}
	return e
}

// expander returns the value of a variable: a named group of the pattern, or one of vars. The group "kind" is lower case, and "Kind" is
// its name in the API.
func expander(m match, vars map[string]string) func(string) string {
	return func(name string) string {
		group := m.entry.expression.SubexpIndex(name)
		if name == "Kind" {
			group = m.entry.expression.SubexpIndex("kind")
		}
		value := vars[name]
		if group >= 0 && m.index[2*group] >= 0 {
			value = m.message[m.index[2*group]:m.index[2*group+1]]
		}
		switch name {
		case "kind":
			return strings.ToLower(value)
		case "Kind":
			return kindName(value)
		}
		return shorten(value)
	}
}

// tidy removes what the variables without a value leave behind.
func tidy(text string) string {
	text = strings.ReplaceAll(text, "()", "")
	text = strings.Join(strings.Fields(text), " ")
	text = strings.NewReplacer(" :", ":", " ,", ",", " ;", ";", " )", ")").Replace(text)
	return strings.TrimRight(text, ": ")
}

// expandCommand returns a command, or nothing if a variable has no value or one that a shell could interpret.
func expandCommand(command string, expand func(string) string) string {
	isSafe := true
	command = os.Expand(command, func(name string) string {
		value := expand(name)
		isSafe = isSafe && value != "" && areSafeNames(value)
		return value
	})
	if !isSafe {
		return ""
	}
	return command
}

// quoteOf returns a report in its own words.
func quoteOf(r report) string {
	return fmt.Sprintf("%s says: %s", cmp.Or(r.source, "the kubelet"), shorten(r.message))
}

// kindName returns the name of a kind in the API.
func kindName(kind string) string {
	switch strings.ToLower(kind) {
	case "configmap":
		return "ConfigMap"
	case "secret":
		return "Secret"
	case "persistentvolumeclaim":
		return "PersistentVolumeClaim"
	}
	return kind
}

// shorten returns a text of the cluster in one line, at most maxQuote bytes of it. It leaves out the middle, because the reason stands at
// the end.
func shorten(message string) string {
	const maxQuote, head = 400, 120
	message = strings.Join(strings.Fields(message), " ")
	if len(message) <= maxQuote {
		return message
	}
	start, end := head, len(message)-(maxQuote-head-len(" … "))
	for start > 0 && !utf8.RuneStart(message[start]) {
		start--
	}
	for end < len(message) && !utf8.RuneStart(message[end]) {
		end++
	}
	return message[:start] + " … " + message[end:]
}
