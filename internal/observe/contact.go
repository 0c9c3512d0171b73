package observe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// away is how long nothing may be heard of the API server before it counts as one that was away. Who keeps a lease hears
	// of it every two seconds.
	away = 5 * time.Second
	// answerLimit is how long a request may be without an answer, and an answer without its next byte. The API server itself
	// gives up what takes a minute.
	answerLimit = 70 * time.Second
	// answerSoon is how long a request may be without an answer before that is worth a notice.
	answerSoon = 15 * time.Second
	// DefaultSilence is how long a watch may say nothing. The API server has a word for each watch every minute, a bookmark
	// where nothing changed.
	DefaultSilence = 150 * time.Second
)

var (
	errNoAnswer = errors.New("no answer within " + answerLimit.String())
	errLate     = errors.New("no answer within " + answerSoon.String())
	errSilent   = errors.New("the watch fell silent")
)

// Contact knows when an API server last answered on the connections that it wraps, and ends requests and watches on them
// that hang. HTTP/2 notices a connection that is dead; behind one that lives, a proxy or the backend of an aggregated API
// can keep a watch open and say nothing for ever. It is safe for concurrent use.
type Contact struct {
	// Silence is how long a watch may say nothing before it counts as hung; not to be changed once in use.
	Silence time.Duration

	began time.Time
	heard atomic.Int64 // nanoseconds after began; 0 for never
	lost  atomic.Bool  // it was asked whether it is there and did not answer, or counts as away for another reason
	back  atomic.Int64 // when it answered again; 0 for never
}

// NewContact returns a contact on which nothing was heard yet.
func NewContact() *Contact {
	return &Contact{Silence: DefaultSilence, began: time.Now()}
}

// Last is when the API server last answered a request, or had a word for a watch; zero where it never did. An answer that
// says that it cannot answer, such as 429 or 500, is none. Jumps of the clock do not change how long ago that is.
func (c *Contact) Last() time.Time {
	heard := c.heard.Load()
	if heard == 0 {
		return time.Time{}
	}
	return time.Now().Add(-(time.Since(c.began) - time.Duration(heard)))
}

// age is how long ago that was; since the contact was made, where there was no answer yet.
func (c *Contact) age() time.Duration {
	return time.Since(c.began) - time.Duration(c.heard.Load())
}

func (c *Contact) hear() {
	now := int64(time.Since(c.began))
	before := c.heard.Swap(now)
	if c.lost.Swap(false) || now-before > int64(away) {
		c.back.Store(now)
	}
}

// doubt has the API server count as away where nothing was heard of it for longer than a moment. It is for who is about to
// act on a failure that may be the API server's: whether that answers is asked less often.
func (c *Contact) doubt() {
	if c.age() > away {
		c.lost.Store(true)
	}
}

// returned is how long ago the API server answered again after it had not for longer than a moment; false where it never was
// away.
func (c *Contact) returned() (time.Duration, bool) {
	back := c.back.Load()
	return time.Since(c.began) - time.Duration(back), back != 0
}

// Wrap has a transport listened to.
func (c *Contact) Wrap(next http.RoundTripper) http.RoundTripper { return &transport{c, next} }

// noticeKey is where a request's context holds who wants to know that it was not answered.
type noticeKey struct{}

// withNotice has a function called when a request of the context is not answered: client-go asks again by itself, and for
// minutes, before it says so.
func withNotice(ctx context.Context, tell func(why string)) context.Context {
	return context.WithValue(ctx, noticeKey{}, tell)
}

func notice(ctx context.Context, why string) {
	if tell, ok := ctx.Value(noticeKey{}).(func(string)); ok && ctx.Err() == nil {
		tell(why)
	}
}

type transport struct {
	contact *Contact
	next    http.RoundTripper
}

// WrappedRoundTripper is what client-go asks for the transport behind.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(answerLimit, func() { cancel(errNoAnswer) })
	late := time.AfterFunc(answerSoon, func() { notice(request.Context(), errLate.Error()) })
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	timer.Stop()
	late.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		notice(request.Context(), err.Error())
		cancel(nil)
		return nil, err
	}
	body := &body{ReadCloser: response.Body, limit: answerLimit, cancel: cancel}
	if request.URL.Query().Get("watch") == "true" {
		body.limit = t.contact.Silence
	}
	if response.StatusCode < http.StatusInternalServerError && response.StatusCode != http.StatusTooManyRequests {
		t.contact.hear()
		body.contact = t.contact
	} else {
		notice(request.Context(), "it answers "+response.Status)
	}
	body.timer = time.AfterFunc(body.limit, func() { cancel(errSilent) })
	body.timer.Stop()
	body.ctx, body.asked = ctx, request.Context()
	response.Body = body
	return response, nil
}

// body is what an answer holds. Who waits for its next byte for too long gets an error.
type body struct {
	io.ReadCloser
	contact *Contact // nil where what it says is that the API server cannot answer
	limit   time.Duration
	timer   *time.Timer
	ctx     context.Context //nolint:containedctx // it is the request's, which is over when the body is closed
	cancel  context.CancelCauseFunc
	closed  atomic.Bool
	asked   context.Context //nolint:containedctx // that of who asked, who may have gone
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if n > 0 && b.contact != nil {
		b.contact.hear()
	}
	if err != nil && errors.Is(context.Cause(b.ctx), errSilent) {
		err = errSilent
	}
	if err != nil && !errors.Is(err, io.EOF) && !b.closed.Load() {
		notice(b.asked, err.Error())
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.closed.Store(true)
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
