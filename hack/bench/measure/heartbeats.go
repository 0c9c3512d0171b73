package measure

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// Heartbeats sends what a large cluster sends all the time while nothing changes: a heartbeat of every node, a renewal of
// every node's lease, and Events. It returns how many evaluations that caused.
func Heartbeats(ctx context.Context, clients *fill.Clients, o *Operator, scale *fill.Scale) (uint64, error) {
	before, err := o.Counters(ctx)
	if err != nil {
		return 0, err
	}
	core := clients.Typed.CoreV1()
	if err := fill.Each(ctx, scale.Nodes, func(ctx context.Context, i int) error {
		beat, err := fill.Heartbeat(time.Now())
		if err != nil {
			return err
		}
		if _, err := core.Nodes().Patch(ctx, fill.NodeName(i), types.StrategicMergePatchType, beat, metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("sending a node's heartbeat: %w", err)
		}
		if err := fill.RenewLease(ctx, clients, i); err != nil {
			return fmt.Errorf("renewing a node's lease: %w", err)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	if err := fill.Each(ctx, scale.Events, func(ctx context.Context, i int) error {
		now := metav1.Now()
		_, err := core.Events("default").Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: "bench-"},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: fill.NodeName(i % scale.Nodes)},
			Reason:         "NodeHasSufficientMemory", Message: "Node status is now: NodeHasSufficientMemory", Type: corev1.EventTypeNormal,
			FirstTimestamp: now, LastTimestamp: now, Count: 1, Source: corev1.EventSource{Component: "kubelet"},
		}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return 0, err
	}
	// What the last of them causes is over by then.
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	after, err := o.Counters(ctx)
	return after.Evaluations.Count - before.Evaluations.Count, err
}
