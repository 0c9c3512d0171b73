package report

import (
	"crypto/sha256"
	_ "embed" // the page's style and script
	"encoding/base64"
	"io"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

var (
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// The page is built as a tree that x/net/html writes out, which escapes whatever it is given. A template would do as well,
// but one that the program can execute makes the linker keep every exported method of every type in it, because a template may
// call them by name: a third of the program's file, and as much of the operator's memory (`make verify-linked` holds it so).

// node is an element with what is in it, in order: attributes, further nodes, and nothing for nil.
func node(tag atom.Atom, in ...part) *html.Node {
	n := &html.Node{Type: html.ElementNode, DataAtom: tag, Data: tag.String()}
	when(true, in...)(n)
	return n
}

// part is what an element is made of.
type part func(*html.Node)

// el is an element within another.
func el(tag atom.Atom, in ...part) part {
	return func(parent *html.Node) { parent.AppendChild(node(tag, in...)) }
}

// textNode is text, whatever it says.
func textNode(s string) part {
	return func(parent *html.Node) { parent.AppendChild(&html.Node{Type: html.TextNode, Data: s}) }
}

// attrs are attributes: name, value, name, value.
func attrs(pairs ...string) part {
	return func(n *html.Node) {
		for i := 0; i+1 < len(pairs); i += 2 {
			n.Attr = append(n.Attr, html.Attribute{Key: pairs[i], Val: pairs[i+1]})
		}
	}
}

// class is the attribute that the style goes by.
func class(names ...string) part {
	return attrs("class", strings.TrimSpace(strings.Join(names, " ")))
}

// each makes a part of every value.
func each[T any](values []T, of func(T) part) part {
	return func(parent *html.Node) {
		for _, v := range values {
			of(v)(parent)
		}
	}
}

// when leaves out what there is nothing to say of.
func when(there bool, in ...part) part {
	if !there {
		return nil
	}
	return func(parent *html.Node) {
		for _, p := range in {
			if p != nil {
				p(parent)
			}
		}
	}
}

func (p *htmlPage) write(w io.Writer, at time.Time) error {
	// Were anything to slip through the escaping, the browser would still run nothing and fetch nothing.
	policy := "default-src 'none'; img-src data:; style-src " + cspHash(pageCSS) + "; script-src " + cspHash(pageJS) + "; base-uri 'none'; form-action 'none'"
	document := &html.Node{Type: html.DocumentNode}
	document.AppendChild(&html.Node{Type: html.DoctypeNode, Data: "html"})
	document.AppendChild(node(
		atom.Html, attrs("lang", "en"),
		el(
			atom.Head,
			el(atom.Meta, attrs("charset", "utf-8")),
			el(atom.Meta, attrs("http-equiv", "Content-Security-Policy", "content", policy)),
			el(atom.Meta, attrs("name", "viewport", "content", "width=device-width, initial-scale=1")),
			el(atom.Meta, attrs("name", "color-scheme", "content", "light dark")),
			el(atom.Meta, attrs("name", "referrer", "content", "no-referrer")),
			el(atom.Link, attrs("rel", "icon", "href", "data:,")),
			el(atom.Title, textNode(p.Title)),
			el(atom.Style, textNode(pageCSS)),
		),
		el(
			atom.Body,
			el(
				atom.Header, class("top"),
				el(
					atom.Div,
					el(atom.H1, textNode(p.Title)),
					el(atom.P, class("at"), textNode("as of "), el(atom.Time, textNode(formatMinute(at)))),
				),
				el(
					atom.Div, class("controls"), attrs("role", "group", "aria-label", "Filters", "hidden", ""),
					el(atom.Button, attrs("type", "button", "id", "failing", "aria-pressed", "false"), textNode("Only failing")),
					el(atom.Button, attrs("type", "button", "id", "open", "aria-pressed", "false"), textNode("All details")),
				),
			),
			el(atom.Main, each(p.Stacks, htmlStack.part)),
			el(atom.Script, textNode(pageJS)),
		),
	))
	return html.Render(w, document)
}

// formatMinute is a time as the page shows it.
func formatMinute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s htmlStack) part() part {
	return el(
		atom.Section, class("profile"),
		el(
			atom.Div, class("outcome", s.Badge.Class),
			el(atom.H2, textNode(s.Title)),
			el(atom.P, class("verdict"), s.Badge.mark(), textNode(" "+s.Badge.Text)),
			when(s.Score != "", el(atom.P, class("score"), textNode(s.Score))),
		),
		el(atom.P, class("lead"), textNode(s.Lead)),
		el(atom.Ol, class("stack"), attrs("reversed", ""), each(s.Layers, htmlLayer.part)),
		each(s.Notes, htmlNote.part),
	)
}

// mark is the state's sign, which says nothing that the word beside it does not.
func (s badge) mark() part {
	return el(atom.Span, class("mark"), attrs("aria-hidden", "true"), textNode(s.Mark))
}

func (n htmlNote) part() part {
	return el(atom.Aside, class("note"), el(atom.H3, textNode(n.Title)), each(n.Lines, paragraph))
}

func paragraph(line string) part { return el(atom.P, textNode(line)) }

func (l htmlLayer) part() part {
	empty := ""
	if l.Gap != "" {
		empty = "empty"
	}
	return el(
		atom.Li, class("layer", l.Badge.Class, empty),
		el(
			atom.Div, class("name"),
			el(atom.H3, textNode(l.Title)),
			when(l.Count != "", paragraph(l.Count)),
		),
		when(l.Gap != "", el(atom.P, class("hole"), textNode(l.Gap))),
		when(len(l.Tiles) > 0, el(atom.Div, class("tiles"), each(l.Tiles, htmlTile.part))),
	)
}

func (t htmlTile) part() part {
	return el(
		atom.Details, class("tile", t.Badge.Class),
		el(
			atom.Summary,
			t.Badge.mark(),
			el(
				atom.Span, class("what"),
				el(atom.B, textNode(t.Title)),
				when(t.Sub != "", el(atom.Span, class("sub"), textNode(t.Sub))),
				when(t.Where != "", el(atom.Span, class("sub"), textNode("in "+t.Where))),
			),
			el(
				atom.Span, class("labels"),
				el(atom.Span, class("label"), textNode(t.Badge.Text)),
				each(t.Tags, func(tag string) part { return when(true, textNode(" "), el(atom.Span, class("tag"), textNode(tag))) }),
			),
		),
		el(
			atom.Div, class("more"),
			when(len(t.Facts) > 0, el(atom.Dl, each(t.Facts, func(f htmlFact) part {
				return when(true, el(atom.Dt, textNode(f.Name)), el(atom.Dd, textNode(f.Value)))
			}))),
			when(len(t.Causes) > 0, el(atom.H4, textNode("Likely causes")), el(atom.Ol, each(t.Causes, item))),
			when(len(t.Commands) > 0, el(atom.H4, textNode("Commands")), each(t.Commands, func(command string) part {
				return el(atom.Pre, el(atom.Code, textNode(command)))
			})),
			when(len(t.Evidence) > 0, el(atom.H4, textNode("Evidence")), el(atom.Ul, each(t.Evidence, item))),
		),
	)
}

func item(line string) part { return el(atom.Li, textNode(line)) }
