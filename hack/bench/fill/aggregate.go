package fill

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Aggregate fills in the rules of ClusterRoles that gather those of others, as kube-controller-manager does.
func Aggregate(ctx context.Context, clients *Clients) error {
	client := clients.Typed.RbacV1().ClusterRoles()
	all, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range all.Items {
		role := &all.Items[i]
		if role.AggregationRule == nil {
			continue
		}
		role.Rules = []rbacv1.PolicyRule{}
		for _, selector := range role.AggregationRule.ClusterRoleSelectors {
			matches, err := metav1.LabelSelectorAsSelector(&selector)
			if err != nil {
				return err
			}
			for _, other := range all.Items {
				if other.Name != role.Name && matches.Matches(labels.Set(other.Labels)) {
					role.Rules = append(role.Rules, other.Rules...)
				}
			}
		}
		if _, err := client.Update(ctx, role, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("aggregating the ClusterRole %s: %w", role.Name, err)
		}
	}
	return nil
}
