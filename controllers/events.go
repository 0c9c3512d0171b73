package controllers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

const (
	// retellWindow is how far back a leader looks for what the one before it may have written and not told: longer than any
	// handover, and shorter than events are kept.
	retellWindow = 5 * time.Minute
	// tellTimeout bounds the time for telling what one evaluation found, also while the operator ends.
	tellTimeout = 5 * time.Second
	// maxUntold bounds what waits to be told where the API server takes no events; the oldest is given up.
	maxUntold = 512
	// maxNote is the length that the API allows an event's note.
	maxNote = 1000
)

// reasonFlappingEnded is the reason of the event that a requirement flaps no more.
const reasonFlappingEnded = "FlappingEnded"

// news is one event on a profile or a definition.
type news struct {
	kind, reason, action, note string
	// at is when what it tells of happened, as the status has it. With the reason and the action it makes the event's name:
	// whoever tells the same tells it by the same name, and the API server takes it once.
	at metav1.Time
	// what tells two apart that happened at the same time; mostly empty.
	what string
}

// toldFirst parts what is told before the status is written from what is told after: no status shows that a flapping is over
// once it is written, so whoever comes after this leader could not tell it.
func toldFirst(all []news) (first, after []news) {
	for _, n := range all {
		if n.reason == reasonFlappingEnded {
			first = append(first, n)
		} else {
			after = append(after, n)
		}
	}
	return first, after
}

// announce tells of verdicts that turned, by events on the profile. Of a requirement that flaps it tells twice, when that
// begins and when it is over, and not each turn in between. The action names the requirement.
func announce(before *v1alpha1.PlatformProfileStatus, result *conformance.Result) []news {
	var told []news
	tell := func(at *metav1.Time, kind, reason, action, note string) {
		if at == nil {
			at = &metav1.Time{}
		}
		told = append(told, news{kind: kind, reason: reason, action: action, note: conformance.Bounded(note, maxNote), at: *at})
	}
	for _, t := range result.Transitions {
		if !t.Bad() && t.From == "" && !t.Retold || t.Now.Flapping != nil {
			continue // a new requirement that holds is no news, and neither is another turn of one that flaps
		}
		kind, was := corev1.EventTypeNormal, ""
		if t.Bad() {
			kind = corev1.EventTypeWarning
		}
		if t.From != "" {
			was = fmt.Sprintf(" (was %s)", t.From)
		}
		name := t.Layer + "/" + t.Now.Name
		tell(t.Now.LastTransitionTime, kind, string(t.Now.Verdict), "Evaluate "+name, name+was+": "+explained(t.Now.Message, t.Leading))
	}
	for _, e := range result.Insights {
		name := e.Layer + "/" + e.Now.Name
		if e.Now.Flapping == nil {
			tell(e.Now.LastTransitionTime, corev1.EventTypeWarning, "Diagnosed", "Diagnose "+name, fmt.Sprintf("%s is %s because of %s: %s", name, e.Now.Verdict, conformance.Ailment(e.Leading), e.Leading.Meaning))
		}
	}
	for _, f := range result.Flaps {
		name := f.Layer + "/" + f.Now.Name
		if f.Began {
			tell(&f.Spell.Since, corev1.EventTypeWarning, "Flapping", "Evaluate "+name, fmt.Sprintf("%s is %s, %s", name, f.Now.Verdict, explained(f.Now.Message, f.Leading)))
			continue
		}
		// What ends in a failure was told by no event since.
		kind := corev1.EventTypeNormal
		if !f.Holds() {
			kind = corev1.EventTypeWarning
		}
		tell(&f.Spell.Since, kind, reasonFlappingEnded, "Evaluate "+name, fmt.Sprintf("%s is %s and flaps no more, after %d turns since %s: %s",
			name, f.Now.Verdict, f.Spell.Turns, f.Spell.Since.UTC().Format(time.RFC3339), explained(f.Now.Message, f.Leading)))
	}
	old := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionConformant)
	now := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionConformant)
	switch {
	case now == nil || old != nil && old.Status == now.Status || result.Damped():
	case now.Status == metav1.ConditionTrue:
		tell(&now.LastTransitionTime, corev1.EventTypeNormal, "Conformant", "Evaluate", now.Message)
	case now.Status == metav1.ConditionFalse:
		tell(&now.LastTransitionTime, corev1.EventTypeWarning, "NotConformant", "Evaluate", now.Message)
	default:
		tell(&now.LastTransitionTime, corev1.EventTypeWarning, "ConformanceUnknown", "Evaluate", now.Message)
	}
	if stalled := meta.FindStatusCondition(result.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		if was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionStalled); was == nil || was.Message != stalled.Message {
			tell(&stalled.LastTransitionTime, corev1.EventTypeWarning, stalled.Reason, "Compile", stalled.Message)
			told[len(told)-1].what = stalled.Message // it may say another thing and be stalled since the same time
		}
	}
	return told
}

// explained is a message with what is wrong with the pods behind it, where it does not say so itself. Often nothing is
// known yet: diagnoses come a moment after the verdict, which waits for none.
func explained(message string, leading *v1alpha1.Diagnosis) string {
	if leading == nil || strings.Contains(message, conformance.Ailment(leading)) {
		return message
	}
	return message + "; " + conformance.Ailment(leading)
}

// tell sends the events that are yet to be told of a profile. What the API server does not take now stays for the next
// time. It goes on for some seconds while the operator ends: what was written is told.
func (r *PlatformProfileReconciler) tell(ctx context.Context, kept *evaluated, profile *v1alpha1.PlatformProfile) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	kept.untold = kept.untold[max(0, len(kept.untold)-maxUntold):]
	for len(kept.untold) > 0 {
		next := &kept.untold[0]
		if err := send(ctx, r.Client, eventOf("PlatformProfile", profile, next, r.Now())); err != nil {
			return err
		}
		kept.untold = kept.untold[1:]
	}
	return nil
}

// send sends an event. The error says that it may be sent later: what was sent before, or is refused for good, is done with.
func send(ctx context.Context, to client.Client, event *eventsv1.Event) error {
	err := to.Create(ctx, event)
	switch {
	case err == nil:
		log.FromContext(ctx).V(1).Info("told", "reason", event.Reason, "note", event.Note)
	case apierrors.IsAlreadyExists(err):
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err):
		log.FromContext(ctx).Error(err, "an event is refused, and will not be sent again", "reason", event.Reason)
	default:
		return fmt.Errorf("telling of %s %s: %w", event.Regarding.Kind, event.Regarding.Name, err)
	}
	return nil
}

// eventOf is an event on a profile or a definition, by a name that follows from what it tells.
func eventOf(kind string, object client.Object, n *news, now time.Time) *eventsv1.Event {
	const longest = 200 // of a name's 253 characters
	sum := sha256.Sum256([]byte(strings.Join([]string{string(object.GetUID()), n.reason, n.action, n.at.UTC().Format(time.RFC3339), n.what}, "\x00")))
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			// Events on what is in no namespace are kept in this one.
			Namespace: metav1.NamespaceDefault,
			Name:      fmt.Sprintf("%s.%x", strings.TrimRight(object.GetName()[:min(longest, len(object.GetName()))], "-."), sum[:10]),
		},
		EventTime: metav1.NewMicroTime(now), ReportingController: reporter, ReportingInstance: instance(),
		Type: n.kind, Reason: n.reason, Action: n.action, Note: n.note,
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: object.GetName(), UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		},
	}
}

// reporter is how events name the operator.
const reporter = "platformprofile"

// instance is how events name this replica.
func instance() string {
	const longest = 128 // as the API has it
	host, err := os.Hostname()
	if err != nil {
		return reporter
	}
	name := reporter + "-" + host
	return name[:min(longest, len(name))]
}
