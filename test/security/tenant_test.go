package security

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	apply "github.com/platformprofile/platformprofile/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// impersonate is a client of a user who has these permissions in the whole cluster, beside those to write profiles and definitions.
func impersonate(t *testing.T, user string, rules ...rbacv1.PolicyRule) client.Client {
	t.Helper()
	ctx := context.Background()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}
	cluster.Must(t, env.Client.Create(ctx, role))
	return userWithRoles(t, user, user, "platformprofile-editor")
}

// userWithRoles is a client of a user who has ClusterRoles in the whole cluster.
func userWithRoles(t *testing.T, user string, roles ...string) client.Client {
	t.Helper()
	for _, role := range roles {
		cluster.Must(t, env.Client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}))
	}
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	cluster.Must(t, err)
	return c
}

func listRule(group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: []string{"list"}}
}

func profileReading(name string, resources ...v1alpha1.ResourceReference) *v1alpha1.PlatformProfile {
	layer := v1alpha1.Layer{Name: "a"}
	for n, resource := range resources {
		layer.Requirements = append(layer.Requirements, v1alpha1.Requirement{
			Name: fmt.Sprint("r", n), Rule: &v1alpha1.Rule{Resource: &resource, ListExpression: "objects.size() == 0", Message: "there is none"},
		})
	}
	return &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{layer}},
	}
}

// TestNobodyReadsThroughTheOperator asserts that with config/admission an author needs the permission to list what the rules
// read, and that whoever has it, or may list everything, notices nothing of it.
func TestNobodyReadsThroughTheOperator(t *testing.T) {
	ctx := context.Background()
	out, err := env.Kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(cluster.Root(), "config", "admission"))
	if err != nil {
		t.Fatal(out)
	}
	t.Cleanup(func() { _, _ = env.Kubectl(ctx, "delete", "-k", filepath.Join(cluster.Root(), "config", "admission")) })
	classes := v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}
	roles := v1alpha1.ResourceReference{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}
	tenant := impersonate(t, "tenant", listRule("storage.k8s.io", "storageclasses"))
	administrator := impersonate(t, "administrator", listRule("*", "*"))

	cluster.Eventually(t, "the policies are in force", func() (bool, string) {
		return apierrors.IsForbidden(tenant.Create(ctx, profileReading("probe", roles), client.DryRunAll)), ""
	})
	refused := func(what string, err error, wantMessages ...string) {
		t.Helper()
		if err == nil {
			t.Errorf("%s is let through", what)
			return
		}
		t.Logf("%s: %v", what, err)
		for _, want := range wantMessages {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the refusal does not contain %q: %v", what, want, err)
			}
		}
	}
	mine := profileReading("mine", classes)
	cluster.Must(t, tenant.Create(ctx, mine))
	// The operator may list much less than everything, and writes statuses all the same.
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: cluster.User}
	operator, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	cluster.Must(t, err)
	status := apply.PlatformProfile("mine").WithStatus(apply.PlatformProfileStatus().WithScore("1/1"))
	cluster.Must(t, operator.Status().Apply(ctx, status, client.FieldOwner("platformprofile")))
	refused("a profile that reads cluster roles", tenant.Create(ctx, profileReading("theirs", classes, roles)), "clusterroles",
		"rbac.authorization.k8s.io", "you may not list them")
	cluster.Must(t, tenant.Get(ctx, client.ObjectKeyFromObject(mine), mine))
	mine.Spec = profileReading("", classes, roles).Spec
	refused("a change to it", tenant.Update(ctx, mine), "you may not list them")
	refused("a profile that reads Secrets",
		administrator.Create(ctx, profileReading("secrets", v1alpha1.ResourceReference{Resource: "secrets"})), "Secrets are never read")
	var many []v1alpha1.ResourceReference
	for n := range 17 {
		many = append(many, v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: fmt.Sprint("storageclasses", n)})
	}
	refused("a profile that reads seventeen resources", tenant.Create(ctx, profileReading("many", many...)), "more than 16")
	cluster.Must(t, administrator.Create(ctx, profileReading("all", append(many, roles)...)))

	definition := func(name string, change func(*v1alpha1.PlatformComponentSpec)) *v1alpha1.PlatformComponent {
		d := &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PlatformComponentSpec{
			Layer: "a", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"example/" + name}}}},
		}}
		change(&d.Spec)
		return d
	}
	health := func(of v1alpha1.ResourceReference, related ...v1alpha1.RelatedResource) func(*v1alpha1.PlatformComponentSpec) {
		return func(s *v1alpha1.PlatformComponentSpec) {
			s.Health = &v1alpha1.HealthRules{
				Rules: []v1alpha1.HealthRule{
					{Name: "a", Rule: v1alpha1.Rule{Resource: &of, Related: related, ListExpression: "objects.size() == 0", Message: "m"}},
				},
			}
		}
	}
	cluster.Must(t, tenant.Create(ctx, definition("my-own", health(classes))))
	refused("a health rule over cluster roles", tenant.Create(ctx, definition("health", health(roles))), "clusterroles")
	refused("a related resource",
		tenant.Create(ctx, definition("related", health(classes, v1alpha1.RelatedResource{Name: "r", Resource: roles}))), "clusterroles")
	refused("a version from cluster roles", tenant.Create(ctx, definition("version", func(s *v1alpha1.PlatformComponentSpec) {
		s.Version = []v1alpha1.VersionSource{{From: v1alpha1.VersionFromExpression, Resource: &roles, Expression: "object.metadata.name"}}
	})), "clusterroles")
	refused("a check over cluster roles", tenant.Create(ctx, definition("check", func(s *v1alpha1.PlatformComponentSpec) {
		s.Checks = []v1alpha1.NamedCheck{{Name: "a", Rule: v1alpha1.Rule{Resource: &roles, Expression: "true", Message: "m"}}}
	})), "clusterroles")
	refused("reading a ConfigMap", tenant.Create(ctx, definition("config", func(s *v1alpha1.PlatformComponentSpec) {
		s.Signals.ConfigMaps = []v1alpha1.ConfigMapSignal{{Namespace: "kube-system", Name: "x", Contains: "password"}}
	})), "kube-system/x")
	cluster.Must(t, administrator.Create(ctx, definition("theirs", health(roles))))
	for _, name := range []string{"mine", "all"} {
		cluster.Must(t, env.Client.Delete(ctx, &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	for _, name := range []string{"my-own", "theirs"} {
		cluster.Must(t, env.Client.Delete(ctx, &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
}
