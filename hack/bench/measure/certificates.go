package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// ChangeCertificates renews some Certificates, one after the other. Every profile has rules that read them all.
func ChangeCertificates(ctx context.Context, clients *fill.Clients, o *Operator, scale *fill.Scale, changes int) (Cost, error) {
	before, err := o.Counters(ctx)
	if err != nil {
		return Cost{}, err
	}
	for i := range changes {
		namespace, name := fill.Certificate(scale, i)
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"revision": i + 2, "notAfter": time.Now().Add(90 * 24 * time.Hour).UTC().Format(time.RFC3339)}})
		if err != nil {
			return Cost{}, err
		}
		if _, err := clients.Dynamic.Resource(fill.Certificates).Namespace(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return Cost{}, fmt.Errorf("renewing a Certificate: %w", err)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return Cost{}, err
		}
	}
	after, err := o.Counters(ctx)
	if err != nil {
		return Cost{}, err
	}
	return costOf(before, after, changes), nil
}
