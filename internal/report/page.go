package report

import (
	"crypto/sha256"
	_ "embed" // the template, the style and the script of the page
	"encoding/base64"
	"html/template"
	"io"
	"time"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageStyle template.CSS
	//go:embed page/page.js
	pageScript template.JS

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))

	// pagePolicy is the Content-Security-Policy of the page. It only allows its own style and script.
	pagePolicy = "default-src 'none'; img-src data:; style-src " + cspHash(string(pageStyle)) + "; script-src " + cspHash(string(pageScript)) +
		"; base-uri 'none'; form-action 'none'"
)

func (p htmlPage) write(w io.Writer, at time.Time) error {
	return pageTemplate.Execute(w, struct {
		htmlPage
		Policy string
		Time   string
		Style  template.CSS
		Script template.JS
	}{p, pagePolicy, formatMinute(at), pageStyle, pageScript})
}

func formatMinute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func cspHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
