// Command catalogrole writes the ClusterRole that lets the operator read what the built-in definitions read health,
// versions and checks from: those resources and no others.
package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/internal/catalog"
)

func main() {
	if err := write(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "catalogrole:", err)
		os.Exit(1)
	}
}

func write() error {
	components, err := catalog.Builtin()
	if err != nil {
		return err
	}
	groups := map[string]map[string]bool{}
	for _, component := range components {
		resources := component.HealthResources()
		for _, check := range component.Checks {
			resources = append(resources, check.Resource)
		}
		for _, resource := range resources {
			if groups[resource.Group] == nil {
				groups[resource.Group] = map[string]bool{}
			}
			groups[resource.Group][resource.Resource] = true
		}
	}
	role := rbacv1.ClusterRole{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{
			Name:   "platformprofile-catalog",
			Labels: map[string]string{"platformprofile.dev/aggregate-to-operator": "true"},
		},
	}
	for _, group := range slices.SortedFunc(maps.Keys(groups), cmp.Compare[string]) {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: slices.Sorted(maps.Keys(groups[group])), Verbs: []string{"get", "list", "watch"},
		})
	}
	data, err := yaml.Marshal(role)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("# Generated from the catalog by hack/catalogrole. DO NOT EDIT.\n%s", data)
	return err
}
