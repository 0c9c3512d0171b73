// Command catalogrole generates the RBAC rules that the operator needs for the built-in definitions: the resources of their rules, and
// single ConfigMaps and Leases by name.
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
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/source"
)

func main() {
	if err := write(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "catalogrole:", err)
		os.Exit(1)
	}
}

// resourcesOf returns the resources that the rules of a component read.
func resourcesOf(component *catalog.Component) []rule.Resource {
	var resources []rule.Resource
	for _, instance := range component.Instances() {
		resources = append(resources, instance.AllResources()...)
	}
	for _, check := range component.Checks {
		resources = append(resources, check.Rule.AllResources()...)
	}
	return resources
}

func write() error {
	components, err := catalog.Builtin()
	if err != nil {
		return err
	}
	groups := map[string]map[string]bool{}
	for _, component := range components {
		for _, resource := range resourcesOf(component) {
			// The role of the operator grants these. With a second grant an administrator could not revoke them.
			resource.Version = ""
			if slices.Contains(source.Resources(), resource) {
				continue
			}
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
	if _, err := fmt.Println("# Generated from the catalog by hack/catalogrole. DO NOT EDIT."); err != nil {
		return err
	}
	objects := []any{role}
	for _, object := range append(objects, namedObjectRoles(catalog.New(components...).NamedObjects())...) {
		data, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		if _, err := fmt.Printf("---\n%s", data); err != nil {
			return err
		}
	}
	return nil
}

// namedObjectRoles returns a Role and a RoleBinding for each namespace with single objects of definitions. They grant access by name.
func namedObjectRoles(named []catalog.NamedObject) []any {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range named {
		group, resource := "", "configmaps"
		if object.Kind == catalog.KindLease {
			group, resource = "coordination.k8s.io", "leases"
		}
		i := slices.IndexFunc(rules[object.Namespace], func(r rbacv1.PolicyRule) bool { return r.Resources[0] == resource })
		if i < 0 {
			i = len(rules[object.Namespace])
			rules[object.Namespace] = append(rules[object.Namespace], rbacv1.PolicyRule{
				APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{"get", "list", "watch"},
			})
		}
		rules[object.Namespace][i].ResourceNames = append(rules[object.Namespace][i].ResourceNames, object.Name)
	}
	var objects []any
	for _, namespace := range slices.Sorted(maps.Keys(rules)) {
		meta := metav1.ObjectMeta{Name: "platformprofile-catalog", Namespace: namespace}
		objects = append(objects, rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: meta,
			Rules:      rules[namespace],
		}, rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "platformprofile-manager", Namespace: "platformprofile-system"}},
		})
	}
	return objects
}
