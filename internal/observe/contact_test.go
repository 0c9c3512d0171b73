package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/internal/facts"
)

// TestContact shows what counts as an answer, and that a watch that says nothing ends with an error while one with a word now
// and then goes on.
func TestContact(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/silent":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/talking":
			for n := range 6 {
				time.Sleep(150 * time.Millisecond)
				_, _ = fmt.Fprintln(w, n)
				w.(http.Flusher).Flush()
			}
		}
	}))
	defer server.Close()
	contact := NewContact()
	contact.Silence = 600 * time.Millisecond
	client := &http.Client{Transport: contact.Wrap(http.DefaultTransport)}
	var noticed []string
	get := func(path string) (string, error) {
		t.Helper()
		ctx := withNotice(context.Background(), func(why string) { noticed = append(noticed, why) })
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close() //nolint:errcheck // it is read
		said, err := io.ReadAll(response.Body)
		return string(said), err
	}

	for _, path := range []string{"/busy", "/broken"} {
		if _, err := get(path); err != nil {
			t.Fatal(err)
		}
		if !contact.Last().IsZero() {
			t.Errorf("%s counts as an answer", path)
		}
	}
	if told := strings.Join(noticed, "; "); told != "it answers 429 Too Many Requests; it answers 500 Internal Server Error" {
		t.Errorf("it was noticed that %s", told)
	}
	if said, err := get("/talking?watch=true"); err != nil || said != "0\n1\n2\n3\n4\n5\n" {
		t.Errorf("a watch with a word now and then ends with %q, %v", said, err)
	}
	if age := time.Since(contact.Last()); age > 5*time.Second {
		t.Errorf("the last word was %s ago", age)
	}
	noticed = nil
	if _, err := get("/silent?watch=true"); !errors.Is(err, errSilent) || len(noticed) != 1 {
		t.Errorf("a watch that says nothing ends with %v, noticed: %v", err, noticed)
	}
}

// TestSettled shows when what is in sight is as the API server has it again: not while it does not answer, and not before
// every source was looked at anew once it does, be it that the operator's own question told that it was away, that nothing
// was heard for long, or that a source fails meanwhile. A source that does not answer for a reason of its own holds up what is written for a while only.
func TestSettled(t *testing.T) {
	for name, leave := range map[string]func(c *Contact){
		"asked in vain": func(c *Contact) { c.lost.Store(true) },
		"nothing heard": func(c *Contact) { c.began = c.began.Add(-away - time.Second) },
		"doubted":       func(c *Contact) { c.began = c.began.Add(-away - time.Second); c.doubt() },
	} {
		t.Run(name, func(t *testing.T) {
			contact, w := NewContact(), &watcher{sight: facts.Synced}
			l := &Live{clients: Clients{Contact: contact}, watchers: map[string]*watcher{"deployments.apps": w}}
			settled := func(want bool, when string) {
				t.Helper()
				if l.Settled() != want {
					t.Errorf("%s: it is settled: %v", when, !want)
				}
			}
			contact.hear()
			w.ceased("refused")
			settled(true, "a source of many does not answer, and the API server does")
			contact.doubt()
			settled(true, "the API server was heard a moment ago")
			leave(contact)
			if contact.lost.Load() {
				settled(false, "the API server is away")
			}
			contact.hear()
			settled(false, "it is back, and the source was not looked at")
			w.silent = true
			w.answered()
			settled(false, "the source answers, and is out of sight")
			w.silent = false
			settled(true, "the source is seen")
			w.ceased("no endpoints")
			settled(false, "the source fails right after")
			contact.began = contact.began.Add(-recovery)
			settled(true, "that was given long enough")
		})
	}
}
