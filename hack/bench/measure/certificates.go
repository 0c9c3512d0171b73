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

// RuledCost is what changes of objects cost that rules are about.
type RuledCost struct {
	// Rule is how long the rules took on average for each change, and SlowRule how long 99 of 100 evaluations of a rule took at most.
	Rule, SlowRule time.Duration
}

// ChangeCertificates renews some Certificates, one after the other. Every profile has rules about them.
func ChangeCertificates(ctx context.Context, clients *fill.Clients, o *Operator, scale *fill.Scale, changes int) (RuledCost, error) {
	before, err := o.Counters(ctx)
	if err != nil {
		return RuledCost{}, err
	}
	for i := range changes {
		namespace, name := fill.Certificate(scale, i)
		notAfter := time.Now().Add(90 * 24 * time.Hour).UTC().Format(time.RFC3339)
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"revision": i + 2, "notAfter": notAfter}})
		if err != nil {
			return RuledCost{}, err
		}
		certificates := clients.Dynamic.Resource(fill.Certificates).Namespace(namespace)
		if _, err := certificates.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return RuledCost{}, fmt.Errorf("renewing a Certificate: %w", err)
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return RuledCost{}, err
		}
	}
	after, err := o.Counters(ctx)
	if err != nil {
		return RuledCost{}, err
	}
	return RuledCost{
		Rule: (after.Rules.Sum - before.Rules.Sum) / time.Duration(changes), SlowRule: quantile(before.Rules, after.Rules, 0.99),
	}, nil
}
