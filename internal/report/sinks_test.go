package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// newHostileReports returns a profile and a discovery with a text in every field that comes from a cluster or a user.
func newHostileReports(text string) (*v1alpha1.PlatformProfile, Discovery) {
	evidence := []v1alpha1.Evidence{{APIVersion: text, Kind: text, Namespace: text, Name: text, Signal: text}}
	at := metav1.NewTime(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC))
	profile := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: text}}
	requirement := v1alpha1.Requirement{Name: text, Rule: &v1alpha1.Rule{Message: text}}
	profile.Spec = v1alpha1.PlatformProfileSpec{
		Undeclared: v1alpha1.UndeclaredForbid,
		Layers:     []v1alpha1.Layer{{Name: text, Requirements: []v1alpha1.Requirement{requirement}}},
	}
	layer := v1alpha1.LayerStatus{Name: text, Verdict: v1alpha1.VerdictMissing}
	waived := &v1alpha1.AppliedWaiver{Waiver: text, By: text, Reason: text, URL: text, Until: &at}
	for _, verdict := range []v1alpha1.Verdict{v1alpha1.VerdictMissing, v1alpha1.VerdictSatisfied, v1alpha1.VerdictUnknown} {
		for i, severity := range []v1alpha1.Severity{
			v1alpha1.SeverityRequired, v1alpha1.SeverityRecommended, v1alpha1.SeverityRequired,
		} {
			waived := waived
			if i < 2 {
				waived = nil
			}
			layer.Requirements = append(layer.Requirements, v1alpha1.RequirementStatus{
				Name:               text,
				Verdict:            verdict,
				Severity:           severity,
				Component:          text,
				Version:            text,
				Namespace:          text,
				Message:            text,
				Remediation:        text,
				Evidence:           evidence,
				Health:             v1alpha1.HealthDegraded,
				LastTransitionTime: &at,
				FailingSince:       &at,
				Waived:             waived,
			})
		}
	}
	profile.Status = v1alpha1.PlatformProfileStatus{
		Score:      text,
		Reason:     text,
		Layers:     []v1alpha1.LayerStatus{layer},
		Undeclared: []v1alpha1.UndeclaredComponent{{Component: text, Version: text, Namespace: text}},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Message: text},
			{Type: v1alpha1.ConditionConformant, Status: metav1.ConditionUnknown, Message: text},
		},
		Diagnoses: []v1alpha1.Diagnosis{
			{
				Workload:     v1alpha1.WorkloadReference{Kind: text, Namespace: text, Name: text},
				Pod:          text,
				Container:    text,
				Symptom:      text,
				Meaning:      text,
				LikelyCauses: []string{text},
				Commands:     []string{text},
			},
		},
	}
	installation := Installation{
		Namespace: text,
		Version:   text,
		Variant:   text,
		Health:    v1alpha1.HealthDegraded,
		Message:   text,
		PartOf:    text,
		Evidence:  evidence,
	}
	component := Component{Name: text, Layer: text, Capabilities: []string{text}, Installations: []Installation{installation}}
	return profile, Discovery{Components: []Component{component}, Leftovers: []Component{component}, Unreadable: []string{text}}
}

// hostileTexts contain control characters and markup of the formats.
var hostileTexts = []string{
	"x\x1b[31mred\x1b]0;title\x07",
	"a\u202eb\u2066c\u200f",
	"line\nbreak\r\nand\ttab",
	"nul\x00\x01\x7f",
	"\xff\xfe\xed\xa0\x80 no text",
	"]]> <![CDATA[ x ]]>",
	"<script>alert(1)</script>",
	"\"><img src=x onerror=alert(1)>",
	"</style><style>*{}",
	"' onmouseover='x",
	"javascript:alert(1)",
	"{{.}} ${x} %s %n",
	"&lt;&amp;&#x3c;",
	"| a | b |\n|---|",
	"::error::x",
	"\u2028\u2029\u0085\ufeff",
	"<!-- -->",
	"]]>]]>",
	strings.Repeat("<&>\"'", 500),
}

// FuzzReports writes a text into every field of every report and parses the reports. The text must not become markup, another line, or a
// control character.
func FuzzReports(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	plainPage := listElements(f, "x")
	f.Fuzz(func(t *testing.T, text string) {
		profile, discovery := newHostileReports(text)
		profiles := []*v1alpha1.PlatformProfile{profile}
		var out bytes.Buffer
		write := func(err error) []byte {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			written := bytes.Clone(out.Bytes())
			out.Reset()
			if !utf8.Valid(written) {
				t.Fatalf("invalid UTF-8: %q", written)
			}
			return written
		}

		for _, options := range []TableOptions{{}, {Wide: true}} {
			checkPrintable(t, write(WriteConformance(&out, profile, options)))
			checkPrintable(t, write(discovery.WriteTable(&out, options)))
		}
		checkPrintable(t, write(Diagnoses{Diagnoses: profile.Status.Diagnoses, Unreadable: []string{text}}.WriteText(&out)))
		checkPrintable(t, write(WriteExplanation(&out, &conformance.Explanation{
			Profile:     text,
			Layer:       text,
			Requirement: text,
			Request:     []string{text},
			Message:     text,
			Remediation: text,
			Conformant:  text,
			Sources:     []conformance.ExplainedSource{{Name: text, Reason: text}},
			Rules:       []conformance.ExplainedRule{{Name: text, Component: text, Message: text, Expression: text}},
		})))

		decoder := xml.NewDecoder(bytes.NewReader(write(WriteJUnit(&out, profiles))))
		allowed := map[string]bool{
			"testsuites": true,
			"testsuite":  true,
			"testcase":   true,
			"failure":    true,
			"error":      true,
			"skipped":    true,
			"system-out": true,
		}
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("invalid XML: %v", err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if !allowed[token.Name.Local] {
					t.Fatalf("the text made an element %s", token.Name.Local)
				}
			case xml.Comment, xml.Directive:
				t.Fatalf("the text made %q", token)
			}
		}

		item := profile.DeepCopy()
		for i := range item.Status.Layers[0].Requirements {
			item.Status.Layers[0].Requirements[i].Name = []string{"ai-inference", "ai-inference." + text}[i%2]
		}
		filled := checklist{}
		written := write(WriteAIConformance(&out, []*v1alpha1.PlatformProfile{item}))
		if err := yaml.Unmarshal(written, &filled); err != nil || len(filled.Spec.Content) != 12 {
			t.Fatalf("invalid YAML, or other categories: %v: %q", err, written)
		}
		checkPrintable(t, written)

		results := 8
		if text == "" {
			results = 7 // no spec error without a message
		}
		log := struct {
			Runs []struct {
				Results []struct {
					Message struct{ Text string }
				}
			}
		}{}
		if err := json.Unmarshal(write(WriteSARIF(&out, profiles, Location{}, "v1")), &log); err != nil || len(log.Runs) != 1 ||
			len(log.Runs[0].Results) != results {
			t.Fatalf("invalid SARIF, or other results: %v: %+v", err, log)
		}
		for _, result := range log.Runs[0].Results {
			checkPrintable(t, []byte(result.Message.Text+"\n"))
		}

		if got := listElements(t, text); got != plainPage && !differsByEmptyPartsOnly(got, plainPage, text) {
			t.Fatalf("the text changes the page:\n%s\nand with a plain text:\n%s", got, plainPage)
		}
	})
}

// differsByEmptyPartsOnly reports whether a page only lacks elements because the text is empty.
func differsByEmptyPartsOnly(got, plain, s string) bool {
	return strings.TrimFunc(text.Printable(s), unicode.IsSpace) == "" && len(got) <= len(plain)
}

// listElements returns the elements of both pages with the names of their attributes, and the content of scripts and styles.
func listElements(t testing.TB, text string) string {
	t.Helper()
	profile, discovery := newHostileReports(text)
	var out bytes.Buffer
	if err := errors.Join(WriteHTML(&out, []*v1alpha1.PlatformProfile{profile}, time.Time{}),
		discovery.WriteHTML(&out, time.Time{})); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	tokens := html.NewTokenizer(&out)
	inside := ""
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if !errors.Is(tokens.Err(), io.EOF) {
				t.Fatal(tokens.Err())
			}
			return b.String()
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			inside = token.Data
			b.WriteString("<" + token.Data)
			for _, attribute := range token.Attr {
				b.WriteString(" " + attribute.Key)
				if attribute.Key == "href" || attribute.Key == "src" || strings.HasPrefix(attribute.Key, "on") {
					b.WriteString("=" + attribute.Val)
				}
			}
			b.WriteString(">")
		case html.EndTagToken:
			inside = ""
			b.WriteString("</" + tokens.Token().Data + ">")
		case html.CommentToken:
			b.WriteString("<!-- -->")
		case html.TextToken:
			content := tokens.Token().Data
			if inside == "script" || inside == "style" {
				b.WriteString(content)
			} else if strings.ContainsFunc(content, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) {
				t.Fatalf("the page contains %q", content)
			}
		default:
		}
	}
}

// checkPrintable fails the test if a report contains anything but lines of printable characters.
func checkPrintable(t *testing.T, written []byte) {
	t.Helper()
	for _, r := range string(written) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q in %q", r, written)
		}
	}
	const maxLines = 200 // more than the reports have without line breaks in the text
	if lines := bytes.Count(written, []byte("\n")); lines > maxLines {
		t.Fatalf("%d lines: %q", lines, written)
	}
}
