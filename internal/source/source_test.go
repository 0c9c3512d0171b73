package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// api is an API server with one resource, whose answers a test scripts. A watch stays open.
type api struct {
	lists   func(n int, w http.ResponseWriter)
	watches func(n int, version string, w http.ResponseWriter)

	mu             sync.Mutex
	listed, opened int
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/apis/example.com":
		_, _ = fmt.Fprint(w, `{"kind":"APIGroup","apiVersion":"v1","name":"example.com","versions":[{"groupVersion":"example.com/v1","version":"v1"}],"preferredVersion":{"groupVersion":"example.com/v1","version":"v1"}}`)
	case r.URL.Path == "/apis/example.com/v1":
		_, _ = fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"example.com/v1","resources":[{"name":"widgets","kind":"Widget","verbs":["list","watch"]}]}`)
	case r.URL.Query().Get("watch") != "":
		a.mu.Lock()
		a.opened++
		n := a.opened
		a.mu.Unlock()
		a.watches(n, r.URL.Query().Get("resourceVersion"), w)
		if w.Header().Get("Refused") != "" {
			return
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		a.mu.Lock()
		a.listed++
		n := a.listed
		a.mu.Unlock()
		a.lists(n, w)
	}
}

func widget(name, version string) string {
	return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q,"resourceVersion":%q}}`, name, version)
}

func widgets(version string, names ...string) string {
	items := make([]string, 0, len(names))
	for _, name := range names {
		items = append(items, widget(name, version))
	}
	return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"WidgetList","metadata":{"resourceVersion":%q},"items":[%s]}`, version, strings.Join(items, ","))
}

func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Refused", "true")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":"scripted %d"}`, code, reason, code)
}

// diary is a consumer that records its calls.
type diary chan string

func (d diary) strip(object any) (*stripped, error) {
	accessor, err := meta.Accessor(object)
	return &stripped{name: accessor.GetName()}, err
}

func (d diary) replace(list []*stripped) {
	names := make([]string, 0, len(list))
	for _, s := range list {
		names = append(names, s.name)
	}
	slices.Sort(names)
	d <- "replace " + strings.Join(names, " ")
}
func (d diary) put(s *stripped)    { d <- "put " + s.name }
func (d diary) remove(s *stripped) { d <- "remove " + s.name }
func (d diary) setState(state facts.SourceState, reason string) {
	d <- "lose " + state.String() + " " + reason
}
func (d diary) close() {}

// TestSourceFollowsTheServer checks which calls consumers get for the responses of an API server.
func TestSourceFollowsTheServer(t *testing.T) {
	widgetKind, _ := kindOfResource(rule.Resource{Group: "example.com", Resource: "widgets"})
	classKind, _ := kindOfResource(rule.Resource{Group: "storage.k8s.io", Resource: "storageclasses"})
	listsWidgets := func(n int, w http.ResponseWriter) {
		_, _ = fmt.Fprint(w, widgets(fmt.Sprint(10*n), "a", fmt.Sprintf("b%d", n)))
	}
	event := func(what, object string) string { return fmt.Sprintf(`{"type":%q,"object":%s}`+"\n", what, object) }
	bookmark := `{"type":"BOOKMARK","object":{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"resourceVersion":"17"}}}` + "\n"
	for name, test := range map[string]struct {
		kind kind
		api  *api
		want []string // each is how a line of the diary begins
	}{
		"a list and events": {
			widgetKind,
			&api{lists: listsWidgets, watches: func(_ int, version string, w http.ResponseWriter) {
				if version == "10" {
					_, _ = fmt.Fprint(w,
						event("ADDED", widget("c", "11"))+event("MODIFIED", widget("a", "12"))+bookmark+event("DELETED", widget("c", "18")))
				}
			}},
			[]string{"replace a b1", "put c", "put a", "remove c"},
		},
		"a watch that may not be opened is no list": {
			widgetKind,
			&api{lists: listsWidgets, watches: func(_ int, _ string, w http.ResponseWriter) { status(w, 403, "Forbidden") }},
			[]string{"lose Forbidden cannot read widgets.example.com: permission to list and watch is missing; grant"},
		},
		"an expired watch leads to a new list": {
			widgetKind,
			&api{lists: listsWidgets, watches: func(n int, _ string, w http.ResponseWriter) {
				if n == 1 {
					_, _ = fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired","message":"too old"}}`+"\n")
				}
			}},
			[]string{"replace a b1", "replace a b2"},
		},
		"429 that asks to retry later is reported as what it is": {
			classKind,
			&api{lists: func(_ int, w http.ResponseWriter) {
				w.Header().Set("Retry-After", "5")
				status(w, 429, "TooManyRequests")
			}},
			[]string{"lose Failing cannot read storageclasses.storage.k8s.io: the API server has not answered since"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.api)
			clients, err := NewClients(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			calls := make(diary, 100)
			w := newSource(test.kind, test.kind.name(), clients, calls, facts.Pending, func() {})
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(func() { cancel(); <-w.ended; server.Close() })
			go w.run(ctx)
			for _, want := range test.want {
				select {
				case got := <-calls:
					if !strings.HasPrefix(got, want) {
						t.Fatalf("the consumer got %q, want %q", got, want)
					}
				case <-time.After(4 * time.Second):
					t.Fatalf("the consumer did not get %q; the state is %+v", want, *w.state.Load())
				}
			}
		})
	}
}

// TestWatchContinues checks that a watch that ends resumes from its resource version, without another list, also after its CRD changes.
func TestWatchContinues(t *testing.T) {
	var versions []string
	cut := make(chan struct{})
	a := &api{
		lists: func(_ int, w http.ResponseWriter) { _, _ = fmt.Fprint(w, widgets("10", "a")) },
	}
	a.watches = func(n int, version string, w http.ResponseWriter) {
		a.mu.Lock()
		versions = append(versions, version)
		a.mu.Unlock()
		if n == 1 {
			_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", widget("b", "11"))
			w.(http.Flusher).Flush()
			<-cut
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", widget(fmt.Sprintf("c%d", n), fmt.Sprint(10+n)))
	}
	server := httptest.NewServer(a)
	clients, err := NewClients(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := kindOfResource(rule.Resource{Group: "example.com", Resource: "widgets"})
	calls := make(diary, 100)
	w := newSource(k, k.name(), clients, calls, facts.Pending, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-w.ended; server.Close() })
	go w.run(ctx)
	for _, want := range []string{"replace a", "put b"} {
		if got := <-calls; got != want {
			t.Fatalf("the consumer got %q, want %q", got, want)
		}
	}
	close(cut)
	if got := <-calls; got != "put c2" {
		t.Fatalf("the consumer got %q", got)
	}
	w.post(CRDChanged)
	if got := <-calls; got != "put c3" {
		t.Fatalf("the consumer got %q", got)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.listed != 1 || !slices.Equal(versions, []string{"10", "11", "12"}) {
		t.Errorf("it was listed %d times, and watched from %v", a.listed, versions)
	}
}

// A rule over a resource of which the facts are known to be not served, or refused, gets that state: the source does not report it again.
func TestRulesOfAnUnreadableSourceOfFacts(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		reason string
		want   facts.SourceState
	}{
		"not served": {http.StatusNotFound, "NotFound", facts.NotServed},
		"forbidden":  {http.StatusForbidden, "Forbidden", facts.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { status(w, test.code, test.reason) }))
			defer server.Close()
			clients, err := NewClients(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			i := inventory.New(catalog.New(), time.Now)
			s := New(clients, i, logr.Discard())
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = s.Run(ctx) })
			defer running.Wait()
			defer cancel()
			await := func(what string, isDone func() bool) {
				t.Helper()
				for deadline := time.Now().Add(10 * time.Second); !isDone(); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal(what)
					}
				}
			}
			classes := v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}
			await("the state of the facts is not known", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.sources["storageclasses.storage.k8s.io"].state.Load().Known == test.want
			})
			spec := &v1alpha1.Rule{Resource: &classes, Expression: "true"}
			instance := rule.NewInstance(rule.New(spec, rule.ProfileScope, ""), nil, "")
			s.Read([]rule.Instance{instance}, nil)
			await("the rule does not get the state", func() bool { return i.Snapshot().Outcome(instance.Key).State == test.want })
		})
	}
}
