package security

import (
	"bufio"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// permissions are verbs, by where and on what: "* apps/deployments", "default events.k8s.io/events". A name that the
// permission is limited to follows a #.
type permissions map[string][]string

// written are the permissions that a person has reviewed and approved: testdata/permissions.txt.
func written(t *testing.T) permissions {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "permissions.txt"))
	cluster.Must(t, err)
	defer file.Close() //nolint:errcheck // nothing was written
	list := permissions{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line, _, _ := strings.Cut(scanner.Text(), " # ")
		if fields := strings.Fields(line); len(fields) > 2 && !strings.HasPrefix(line, "#") {
			list[fields[0]+" "+fields[1]] = fields[2:]
		}
	}
	return list
}

func (p permissions) add(scope string, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		targets := slices.Clone(rule.NonResourceURLs)
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					target := strings.TrimPrefix(group+"/"+resource, "/")
					if name != "" {
						target += "#" + name
					}
					targets = append(targets, target)
				}
			}
		}
		for _, target := range targets {
			verbs := slices.Concat(p[scope+" "+target], rule.Verbs)
			slices.Sort(verbs)
			p[scope+" "+target] = slices.Compact(verbs)
		}
	}
}

// granted are the permissions that the API server's roles and bindings give to the operator, with aggregation done.
func granted(ctx context.Context, t *testing.T) permissions {
	t.Helper()
	clusterRoles, roles := &rbacv1.ClusterRoleList{}, &rbacv1.RoleList{}
	clusterBindings, bindings := &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{}
	for _, list := range []client.ObjectList{clusterRoles, roles, clusterBindings, bindings} {
		cluster.Must(t, env.Client.List(ctx, list))
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for _, role := range clusterRoles.Items {
		rules["ClusterRole/"+role.Name] = role.Rules
	}
	for _, role := range roles.Items {
		rules["Role/"+role.Namespace+"/"+role.Name] = role.Rules
	}
	found := permissions{}
	for _, binding := range clusterBindings.Items {
		if bindsOperator(binding.Subjects) {
			found.add("*", rules["ClusterRole/"+binding.RoleRef.Name])
		}
	}
	for _, binding := range bindings.Items {
		role := "ClusterRole/" + binding.RoleRef.Name
		if binding.RoleRef.Kind == "Role" {
			role = "Role/" + binding.Namespace + "/" + binding.RoleRef.Name
		}
		if bindsOperator(binding.Subjects) {
			found.add(binding.Namespace, rules[role])
		}
	}
	return found
}

// bindsOperator reports whether the operator is among the subjects, by itself or with all accounts of its namespace.
func bindsOperator(subjects []rbacv1.Subject) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == cluster.Namespace && s.Name == cluster.ServiceAccount ||
			s.Kind == rbacv1.GroupKind && s.Name == "system:serviceaccounts:"+cluster.Namespace
	})
}

// TestItMayDoWhatIsWrittenAndNothingElse compares what the API server grants with the written list. The chart's roles are the
// kustomization's: test/packaging compares them object by object.
func TestItMayDoWhatIsWrittenAndNothingElse(t *testing.T) {
	want := written(t)
	var got permissions
	cluster.Eventually(t, "the roles are aggregated", func() (bool, string) {
		if got = granted(t.Context(), t); len(got["* velero.io/backups"]) == 0 {
			return false, "platformprofile-reader has no rules"
		}
		return true, ""
	})
	for _, what := range slices.Sorted(maps.Keys(got)) {
		if !slices.Equal(got[what], want[what]) {
			t.Errorf("granted: %s %s; written: %v", what, strings.Join(got[what], " "), want[what])
		}
	}
	for what := range want {
		if got[what] == nil {
			t.Errorf("written, but not granted: %s", what)
		}
	}
}

// TestTheWrittenListIsHarmless holds the list itself to what no operator of this kind may ever have.
func TestTheWrittenListIsHarmless(t *testing.T) {
	list := written(t)
	const least = 100
	if len(list) < least {
		t.Fatalf("only %d permissions were read", len(list))
	}
	writes := permissions{
		"* authentication.k8s.io/tokenreviews":                                  {"create"},
		"* authorization.k8s.io/subjectaccessreviews":                           {"create"},
		"* platformprofile.dev/platformcomponents/status":                       {"patch"},
		"* platformprofile.dev/platformwaivers/status":                          {"patch"},
		"* platformprofile.dev/platformprofiles/status":                         {"patch"},
		"default events.k8s.io/events":                                          {"create", "patch"},
		"platformprofile-system events":                                         {"create", "patch"},
		"platformprofile-system coordination.k8s.io/leases":                     {"create"},
		"platformprofile-system coordination.k8s.io/leases#platformprofile.dev": {"get", "update"},
	}
	for what, verbs := range list {
		if strings.Contains(what, "*/") || strings.HasSuffix(what, "/*") || slices.Contains(verbs, "*") {
			t.Errorf("%s %v is a wildcard", what, verbs)
		}
		for _, never := range []string{"secrets", "pods/exec", "pods/log", "pods/attach", "pods/portforward", "nodes/proxy", "services/proxy",
			"serviceaccounts/token"} {
			if _, target, _ := strings.Cut(what, " "); target == never {
				t.Errorf("%s may not be granted", what)
			}
		}
		if slices.Equal(verbs, writes[what]) {
			continue
		}
		for _, verb := range verbs {
			if verb != "get" && verb != "list" && verb != "watch" {
				t.Errorf("%s %s writes", what, verb)
			}
		}
	}
}

// TestReportsPermitReportsOnly holds the role of config/reports, which only who wants reports applies, to what it says.
func TestReportsPermitReportsOnly(t *testing.T) {
	objects, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "reports", "role.yaml"))
	cluster.Must(t, err)
	granted := permissions{}
	for _, object := range objects {
		role, binding := &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}
		switch object.GetKind() {
		case "ClusterRole":
			cluster.Must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, role))
			if len(role.Labels) > 0 || role.AggregationRule != nil {
				t.Errorf("the role %s is aggregated: %v", role.Name, role.Labels)
			}
			granted.add("*", role.Rules)
		case "ClusterRoleBinding":
			cluster.Must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, binding))
			if len(binding.Subjects) != 1 || !bindsOperator(binding.Subjects) || binding.RoleRef.Name != "platformprofile-reports" {
				t.Errorf("%s binds %s to %v", binding.Name, binding.RoleRef.Name, binding.Subjects)
			}
		default:
			t.Errorf("there is a %s", object.GetKind())
		}
	}
	want := permissions{
		"* openreports.io/clusterreports":       {"create", "get", "patch"},
		"* wgpolicyk8s.io/clusterpolicyreports": {"create", "get", "patch"},
	}
	if !maps.EqualFunc(granted, want, slices.Equal) {
		t.Errorf("it grants %v, want %v", granted, want)
	}
}

// TestTheAuthorizerRefuses asks the API server's authorizer, which also includes what every account may do.
func TestTheAuthorizerRefuses(t *testing.T) {
	type attributes = authorizationv1.ResourceAttributes
	refused := map[string]attributes{
		"reading Secrets":                {Verb: "get", Resource: "secrets", Namespace: cluster.Namespace},
		"listing Secrets":                {Verb: "list", Resource: "secrets"},
		"reading ConfigMaps":             {Verb: "list", Resource: "configmaps"},
		"running commands":               {Verb: "create", Resource: "pods", Subresource: "exec", Namespace: "default"},
		"reading logs":                   {Verb: "get", Resource: "pods", Subresource: "log", Namespace: "default"},
		"making pods":                    {Verb: "create", Resource: "pods", Namespace: cluster.Namespace},
		"deleting pods":                  {Verb: "delete", Resource: "pods", Namespace: "default"},
		"changing workloads":             {Verb: "patch", Group: "apps", Resource: "deployments", Namespace: cluster.Namespace},
		"reaching kubelets":              {Verb: "get", Resource: "nodes", Subresource: "proxy"},
		"making tokens":                  {Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: cluster.Namespace},
		"acting for others":              {Verb: "impersonate", Resource: "users", Name: "admin"},
		"granting more":                  {Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		"binding roles":                  {Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "cluster-admin"},
		"changing roles":                 {Verb: "update", Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Name: "platformprofile-catalog"},
		"changing the spec of a profile": {Verb: "patch", Group: "platformprofile.dev", Resource: "platformprofiles", Name: "any"},
		"making profiles":                {Verb: "create", Group: "platformprofile.dev", Resource: "platformprofiles"},
		"writing reports":                {Verb: "create", Group: "openreports.io", Resource: "clusterreports"},
		"changing reports of others":     {Verb: "patch", Group: "wgpolicyk8s.io", Resource: "clusterpolicyreports", Name: "other"},
		"events elsewhere":               {Verb: "create", Group: "events.k8s.io", Resource: "events", Namespace: "kube-system"},
		"the lease of others":            {Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: cluster.Namespace, Name: "other"},
		"leases of nodes":                {Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-node-lease", Name: "node-1"},
	}
	for what, asked := range refused {
		if allowed(t, asked) {
			t.Errorf("%s is allowed: %+v", what, asked)
		}
	}
	// The same question, asked of what it may do, is answered with yes.
	if !allowed(t,
		attributes{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: cluster.Namespace, Name: "platformprofile.dev"}) {
		t.Error("it may not renew its lease: the questions are not about it")
	}
}

func allowed(t *testing.T, asked authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               cluster.User,
		Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + cluster.Namespace, "system:authenticated"},
		ResourceAttributes: &asked,
	}}
	cluster.Must(t, env.Client.Create(t.Context(), review))
	return review.Status.Allowed
}
