package security

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// auditedManifests is a component whose pods cannot run for want of a volume, which has the operator read all that it may read.
const auditedManifests = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: velero, namespace: velero, labels: {component: velero}}
spec:
  replicas: 1
  progressDeadlineSeconds: 1
  selector: {matchLabels: {app: velero}}
  template:
    metadata: {labels: {app: velero}}
    spec:
      containers: [{name: velero, image: "velero/velero:v1.17.0"}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: velero}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: nobody-has-it
  resources: {requests: {storage: 1Gi}}
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformComponent
metadata: {name: acme}
spec:
  layer: workloads
  capabilities: [billing]
  signals: {workloads: [{images: [acme/billing]}]}
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: audited}
spec:
  layers:
  - name: storage
    requirements:
    - {name: backup, anyOf: [{component: velero}]}
    - name: default-class
      rule:
        resource: {group: storage.k8s.io, resource: storageclasses}
        listExpression: "objects.size() > 0"
        message: there is a class
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformWaiver
metadata: {name: audited}
spec: {profile: audited, requirement: storage/backup, verdicts: [Conflict], by: us, reason: none, expires: "2026-01-01T00:00:00Z"}
`

// unprovable are permissions that no work of this test has a use for, and why they are granted.
var unprovable = map[string]string{
	"* gateway.networking.k8s.io/gatewayclasses get list watch": "the Gateway API is not installed here",
	"* helm.toolkit.fluxcd.io/helmreleases get list watch":      "Flux is not installed here",
	"* argoproj.io/applications get list watch":                 "Argo CD is not installed here",
	"* operators.coreos.com/subscriptions get list watch":       "the Operator Lifecycle Manager is not installed here",
	"* helm.cattle.io/helmcharts get list watch":                "K3s is not installed here",
	"default events.k8s.io/events patch":                        "a recurring event of the same object patches the first",
	"platformprofile-system events patch":                       "the same, of who leads",
}

// TestItDoesWhatItMayAndNothingElse has the operator work, and reads the API server's own record of it: nothing was refused,
// nothing was written but what is its own, and no permission of its own roles is without use. What the built-in definitions
// read is in a role that is generated from them.
func TestItDoesWhatItMayAndNothingElse(t *testing.T) {
	objects, err := cluster.Parse([]byte(auditedManifests))
	cluster.Must(t, err)
	cluster.Must(t, env.ApplyObjects(t.Context(), objects, "velero"))
	t.Cleanup(func() {
		for _, object := range objects {
			cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(context.Background(), object)))
		}
	})
	verdict := func() v1alpha1.Verdict {
		p := &v1alpha1.PlatformProfile{}
		cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: "audited"}, p))
		if len(p.Status.Layers) == 0 {
			return ""
		}
		return p.Status.Layers[0].Requirements[0].Verdict
	}
	await := func(want v1alpha1.Verdict) {
		cluster.Eventually(t, "velero is "+string(want), func() (bool, string) {
			if got := verdict(); got != want {
				return false, string(got)
			}
			return true, ""
		})
	}
	await(v1alpha1.VerdictDegraded)
	cluster.Eventually(t, "the profile has a diagnosis", func() (bool, string) {
		p := &v1alpha1.PlatformProfile{}
		cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: "audited"}, p))
		if len(p.Status.Diagnoses) == 0 {
			return false, "nothing is diagnosed"
		}
		return true, ""
	})
	cluster.Must(t, env.Client.Delete(t.Context(), objects[0].DeepCopy(), client.PropagationPolicy("Background")))
	await(v1alpha1.VerdictMissing)
	scrape(t, "/metrics", account(t, "auditor"))

	list := ownPermissions(t)
	var used map[string]bool
	cluster.Eventually(t, "every permission was of use", func() (bool, string) {
		used = map[string]bool{}
		for _, event := range requests(t) {
			assertAllowed(t, event)
			used[target(event)+" "+event.Verb] = true
		}
		found := unused(list, used)
		return len(found) == 0, strings.Join(found, ", ")
	})
	t.Logf("%d kinds of requests were made", len(used))
}

// requests are all that the operator asked of the API server, as that recorded it.
func requests(t *testing.T) []auditv1.Event {
	t.Helper()
	found, err := env.Requests(cluster.User, time.Time{})
	cluster.Must(t, err)
	return found
}

// target is what a request was for, as the written list names it.
func target(event auditv1.Event) string {
	if event.ObjectRef == nil {
		return event.RequestURI
	}
	resource := strings.TrimPrefix(event.ObjectRef.APIGroup+"/"+event.ObjectRef.Resource, "/")
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return resource
}

// assertAllowed asserts that a request was answered, and wrote nothing but what is the operator's own.
func assertAllowed(t *testing.T, event auditv1.Event) {
	t.Helper()
	if event.ResponseStatus != nil && (event.ResponseStatus.Code == 401 || event.ResponseStatus.Code == 403) {
		t.Fatalf("%s %s was refused: %s", event.Verb, event.RequestURI, event.ResponseStatus.Message)
	}
	switch event.Verb {
	case "get", "list", "watch":
		return
	}
	ref := event.ObjectRef
	if ref == nil {
		t.Fatalf("%s %s", event.Verb, event.RequestURI)
	}
	mine := ref.Namespace == cluster.Namespace
	switch what := target(event) + " " + event.Verb; what {
	case "platformprofile.dev/platformprofiles/status patch", "platformprofile.dev/platformcomponents/status patch",
		"platformprofile.dev/platformwaivers/status patch",
		"authentication.k8s.io/tokenreviews create", "authorization.k8s.io/subjectaccessreviews create",
		"authorization.k8s.io/selfsubjectaccessreviews create":
	case "events.k8s.io/events create", "events.k8s.io/events patch":
		if ref.Namespace != corev1.NamespaceDefault {
			t.Fatalf("%s in %s", what, ref.Namespace)
		}
	case "events create", "events patch":
		if !mine {
			t.Fatalf("%s in %s", what, ref.Namespace)
		}
	case "coordination.k8s.io/leases create", "coordination.k8s.io/leases update":
		if !mine || ref.Name != "platformprofile.dev" && event.Verb == "update" {
			t.Fatalf("%s of %s/%s", what, ref.Namespace, ref.Name)
		}
	default:
		t.Fatalf("it did %s %s", event.Verb, event.RequestURI)
	}
}

// unused are the permissions of a list that no request had a use for. To read is one permission,
// whether by get, list or watch: who may do one of them learns what the others return.
func unused(list permissions, used map[string]bool) []string {
	var found []string
	for _, what := range slices.Sorted(maps.Keys(list)) {
		_, resource, _ := strings.Cut(what, " ")
		resource, _, _ = strings.Cut(resource, "#")
		reads, read := false, false
		for _, verb := range list[what] {
			if verb == "get" || verb == "list" || verb == "watch" {
				reads = true
				read = read || used[resource+" "+verb]
			} else if !used[resource+" "+verb] {
				found = append(found, what+" "+verb)
			}
		}
		if reads && !read {
			found = append(found, what+" "+strings.Join(list[what], " "))
		}
	}
	return slices.DeleteFunc(found, func(what string) bool { return unprovable[what] != "" })
}

// ownPermissions are the permissions of the roles that are written for the operator itself, in the form of the written list.
func ownPermissions(t *testing.T) permissions {
	t.Helper()
	found := permissions{}
	role := &rbacv1.ClusterRole{}
	cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: cluster.ServiceAccount}, role))
	found.add("*", role.Rules)
	for _, namespace := range []string{corev1.NamespaceDefault, cluster.Namespace} {
		role := &rbacv1.Role{}
		cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: cluster.ServiceAccount}, role))
		found.add(namespace, role.Rules)
	}
	return found
}
