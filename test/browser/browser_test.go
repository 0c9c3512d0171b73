// Package browser tests the pages that check and discover write, in a real Chromium.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

//go:embed testdata/contrast.js
var contrast string

// pages are the commands that write one, with the files that they read.
var pages = map[string][]string{
	"check":    {"check", "-f", "testdata/profile.yaml", "--from", "testdata/platform.yaml", "-o", "html"},
	"discover": {"discover", "--from", "testdata/platform.yaml", "-o", "html"},
}

var chromium string

func TestMain(m *testing.M) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	switch {
	case chromium != "":
	case os.Getenv("CI") != "":
		fmt.Fprintln(os.Stderr, "no chromium is installed: run 'make chromium' as root")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "skipped, because no chromium is installed: run 'make chromium' as root")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tab is a page in a browser, and what it did beside showing itself.
type tab struct {
	ctx context.Context
	t   *testing.T

	mu      sync.Mutex
	trouble []string
}

// open writes a page and opens it, in a browser of its own.
func open(t *testing.T, name string, first ...func(*tab)) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".html")
	command := exec.Command(filepath.Join(root(), "bin", "platformprofile"), pages[name]...)
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	errOut := &strings.Builder{}
	command.Stdout, command.Stderr = out, errOut
	if err := command.Run(); command.ProcessState == nil || command.ProcessState.ExitCode() > 1 {
		t.Fatal(err, errOut)
	}
	_ = out.Close()

	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.WSURLReadTimeout(2*time.Minute))...)
	t.Cleanup(cancel)
	address := (&url.URL{Scheme: "file", Path: file}).String()
	p := &tab{t: t}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(func(event any) { p.note(event, address) }))
	t.Cleanup(cancel)
	p.ctx = ctx
	p.do() // the browser lives as long as this context
	p.ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, runtime.Enable, cdp.Empty{})
	for _, prepare := range first {
		prepare(p)
	}
	p.do(chromedp.Navigate(address), chromedp.WaitReady("main"))
	return p
}

func root() string {
	folder, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return folder
}

// note notes what a page must not do.
func (p *tab) note(event any, address string) {
	text := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.URL != address && !strings.HasPrefix(e.Request.URL, "data:") {
			text = "it asks for " + e.Request.URL
		}
	case *runtime.EventConsoleAPICalled:
		text = "it writes to the console: " + string(e.Type)
	case *runtime.EventExceptionThrown:
		text = "it throws: " + e.ExceptionDetails.Text
	case *log.EventEntryAdded:
		text = "the browser complains: " + e.Entry.Text
	case *page.EventJavascriptDialogOpening:
		text = "it opens a dialog: " + e.Message
	}
	if text != "" {
		p.mu.Lock()
		p.trouble = append(p.trouble, text)
		p.mu.Unlock()
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](p *tab, expression string) T {
	p.t.Helper()
	answer, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}

// run runs statements in the page.
func (p *tab) run(statements string) {
	p.t.Helper()
	ask[int](p, "(() => {"+statements+"; return 0})()")
}

// quiet fails the test where the page did what it must not.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.trouble {
		p.t.Error(text)
	}
}

func scheme(name string) func(*tab) {
	return func(p *tab) {
		call(p, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	}
}

func phone(p *tab) {
	call(p, emulation.SetDeviceMetricsOverride,
		emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 740, DeviceScaleFactor: 2, Mobile: true})
}

func eachPage(t *testing.T, test func(t *testing.T, name string)) {
	for name := range pages {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func TestThePageShowsThePlatformFromTheGroundUp(t *testing.T) {
	p := open(t, "check")
	got := ask[[]string](p, `[...document.querySelectorAll(".stack h3")].map((h) => h.textContent)`)
	want := "Troubleshooting Security Delivery Storage and backup Network Cluster and nodes Provisioning"
	if strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
	for title, class := range map[string]string{
		"cni": "good", "ingress": "gap", "backup": "gap", "runtime-security": "bad",
		"widgets": "doubt", "CrashLoop": "bad",
	} {
		classes := ask[string](p, fmt.Sprintf(`[...document.querySelectorAll(".tile")].find((t) => t.querySelector("b").textContent === %q)?.className ?? "not there"`, title))
		if !strings.Contains(" "+classes+" ", " "+class+" ") {
			t.Errorf("%s has the classes %q, want %s", title, classes, class)
		}
	}
	if dashed := ask[string](p, `getComputedStyle(document.querySelector(".tile.gap")).borderTopStyle`); dashed != "dashed" {
		t.Errorf("what is missing has a border that is %s", dashed)
	}
	text := ask[string](p, `document.body.textContent`)
	for _, want := range []string{"cilium 1.18.2", "velero is not installed; leftover resources", "Not conformant", "grafana"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	p.quiet()
}

func TestADiscoveryShowsEmptyLayersAsGaps(t *testing.T) {
	p := open(t, "discover")
	if got := ask[string](p, `[...document.querySelectorAll(".layer")].find((l) => l.querySelector("h3").textContent === "Serverless").innerText`); !strings.Contains(got, "Nothing found") {
		t.Errorf("%q", got)
	}
	if got := ask[[]string](p, `[...document.querySelectorAll(".layer")].find((l) => l.querySelector("h3").textContent === "Network").innerText.split("\n")`); !strings.Contains(strings.Join(got, " "), "cilium 1.18.2 in kube-system") {
		t.Errorf("%q", got)
	}
	p.quiet()
}

func TestADiscoverySaysWhatIsWrongWithPods(t *testing.T) {
	p := open(t, "discover")
	if first := ask[string](p, `document.querySelector(".stack .layer").innerText`); !strings.Contains(first, "Troubleshooting") ||
		!strings.Contains(first, "1 degraded, 1 diagnosis") {
		t.Errorf("the top of the stack is %q", first)
	}
	const crash = `[...document.querySelectorAll(".tile")].find((t) => t.querySelector("b").textContent === "CrashLoop")`
	if ask[bool](p, crash+`.querySelector(".more").checkVisibility()`) {
		t.Error("its details are open before anybody asks")
	}
	p.run(crash + `.querySelector("summary").click()`)
	details := ask[string](p, crash+`.innerText`)
	for _, want := range []string{
		"DaemonSet falco", "falco-abcde", "Likely causes", "cannot load <b>probe</b> for this kernel", "Commands",
		"kubectl",
	} {
		if !strings.Contains(details, want) {
			t.Errorf("the details do not contain %q:\n%s", want, details)
		}
	}
	p.quiet()
}

func TestDetailsOpenByClickAndByKeyboard(t *testing.T) {
	eachPage(t, func(t *testing.T, name string) {
		p := open(t, name)
		opened := func() int { return ask[int](p, `document.querySelectorAll("details[open]").length`) }
		p.do(chromedp.Click("details summary"))
		if opened() != 1 || !ask[bool](p, `document.querySelector("details .more").checkVisibility()`) {
			t.Error("a click opens nothing")
		}
		p.do(chromedp.KeyEvent(kb.Escape))
		if opened() != 0 {
			t.Error("Escape closes nothing")
		}
		// From the top of the page, by the Tab key alone.
		p.run(`document.activeElement.blur(); getSelection().collapse(document.body, 0)`)
		reached := false
		for range 6 {
			p.do(chromedp.KeyEvent(kb.Tab))
			if reached = ask[bool](p, `document.activeElement.tagName === "SUMMARY"`); reached {
				break
			}
		}
		if !reached {
			t.Fatal("the Tab key does not reach the details")
		}
		if ring := ask[string](p, `getComputedStyle(document.activeElement).outlineStyle`); ring == "none" {
			t.Error("the keyboard focus is not visible")
		}
		p.do(chromedp.KeyEvent(kb.Enter))
		if opened() != 1 {
			t.Error("the Enter key opens nothing")
		}
		p.do(chromedp.Click("#open"))
		if all := ask[int](p, `document.querySelectorAll("details").length`); opened() != all {
			t.Errorf("of %d details %d are open", all, opened())
		}
		p.do(chromedp.Click("#failing"))
		if ask[bool](p, `[...document.querySelectorAll(".tile.good")].some((t) => t.checkVisibility())`) ||
			!ask[bool](p, `document.querySelector(".tile.bad").checkVisibility()`) {
			t.Error("a satisfied requirement is still visible, or a failing one is hidden")
		}
		p.quiet()
	})
}

func TestContrast(t *testing.T) {
	eachPage(t, func(t *testing.T, name string) {
		for _, colours := range []string{"light", "dark"} {
			p := open(t, name, scheme(colours))
			p.do(chromedp.Click("#open"))
			result := ask[struct {
				Texts int
				Weak  []string
			}](p, contrast)
			if result.Texts < 30 {
				t.Errorf("%s: only %d texts were measured", colours, result.Texts)
			}
			for _, weak := range result.Weak {
				t.Errorf("%s: %s", colours, weak)
			}
			background := ask[string](p, `getComputedStyle(document.body).backgroundColor`)
			if dark := background == "rgb(15, 20, 27)"; dark != (colours == "dark") {
				t.Errorf("%s: the page is %s", colours, background)
			}
		}
	})
}

func TestAPhoneScrollsInOneDirection(t *testing.T) {
	eachPage(t, func(t *testing.T, name string) {
		p := open(t, name, phone)
		p.do(chromedp.Click("#open"))
		if wide := ask[int](p, `document.documentElement.scrollWidth`); wide > 360 {
			t.Errorf("the page is %d pixels wide", wide)
		}
		if out := ask[[]string](p, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 360.5).map((e) => e.tagName + " " + e.className)`); len(out) > 0 {
			t.Errorf("these reach out of it: %q", out)
		}
		if small := ask[[]string](p, `[...document.querySelectorAll("summary, button")].filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.textContent.trim())`); len(small) > 0 {
			t.Errorf("too small for a finger: %q", small)
		}
		p.quiet()
	})
}

func TestHostileNamesStayText(t *testing.T) {
	eachPage(t, func(t *testing.T, name string) {
		p := open(t, name)
		p.do(chromedp.Click("#open"))
		p.run(`document.querySelectorAll("*").forEach((e) => e.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))); document.querySelectorAll("details *").forEach((e) => e.dispatchEvent(new MouseEvent("click", {bubbles: false})))`)
		if title := ask[string](p, `document.title`); strings.Contains(title, "broken") {
			t.Errorf("a name ran as a script: the title is %q", title)
		}
		if scripts := ask[int](p, `document.querySelectorAll("script").length`); scripts != 1 {
			t.Errorf("there are %d scripts", scripts)
		}
		if handlers := ask[int](p, `[...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length`); handlers != 0 {
			t.Errorf("%d elements have handlers", handlers)
		}
		if text := ask[string](p, `document.body.textContent`); !strings.Contains(text, "<script>document.title='broken'</script>") {
			t.Error("the hostile name is not displayed as text")
		}
		p.quiet()
	})
}

func TestPaperShowsTheDetails(t *testing.T) {
	p := open(t, "check")
	p.run(`dispatchEvent(new Event("beforeprint"))`)
	if closed := ask[int](p, `document.querySelectorAll("details:not([open])").length`); closed != 0 {
		t.Errorf("%d details are closed on paper", closed)
	}
	p.run(`dispatchEvent(new Event("afterprint"))`)
	if opened := ask[int](p, `document.querySelectorAll("details[open]").length`); opened != 0 {
		t.Errorf("%d details stay open", opened)
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if ask[bool](p, `document.querySelector(".controls").checkVisibility()`) {
		t.Error("buttons are on paper")
	}
}

// TestScreenshots writes a screenshot of each page to bin/screenshots.
func TestScreenshots(t *testing.T) {
	folder := filepath.Join(root(), "bin", "screenshots")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	eachPage(t, func(t *testing.T, name string) {
		for look, actions := range map[string][]func(*tab){
			"light": {scheme("light")}, "dark": {scheme("dark")},
			"phone": {scheme("light"), phone},
		} {
			p := open(t, name, actions...)
			p.run(`document.querySelectorAll(".tile.bad, .tile.gap")[1].open = true`)
			image, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name+"-"+look+".png"), image, 0o600); err != nil {
				t.Fatal(err)
			}
			if len(image) < 10_000 {
				t.Errorf("the picture of %s has %d bytes", look, len(image))
			}
		}
	})
}
