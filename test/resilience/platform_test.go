package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// platformManifests is what the profile asks for: a workload of each kind, a class, a resource of a CRD, and one of an API that is
// aggregated and never there.
const platformManifests = `
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformComponent
metadata: {name: acme-app}
spec: {layer: apps, signals: {workloads: [{kinds: [Deployment], images: [acme/app]}]}}
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformComponent
metadata: {name: acme-agent}
spec: {layer: apps, signals: {workloads: [{kinds: [DaemonSet], images: [acme/agent]}]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: faults, labels: {platformprofile.dev/aggregate-to-operator: "true"}}
rules:
- {apiGroups: [faults.example.com], resources: [widgets, gadgets], verbs: [get, list, watch]}
- {apiGroups: [scheduling.k8s.io], resources: [priorityclasses], verbs: [get, list, watch]}
- {apiGroups: [gone.example.com], resources: [sprockets], verbs: [get, list, watch]}
---
apiVersion: v1
kind: Namespace
metadata: {name: acme}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: acme}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template: {metadata: {labels: {app: app}}, spec: {containers: [{name: app, image: "acme/app:v1.2.0"}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: acme}
spec:
  selector: {matchLabels: {app: agent}}
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: agent, image: "acme/agent:v2.0.0"}]}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.faults.example.com}
spec:
  group: faults.example.com
  scope: Cluster
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {ok: {type: boolean}}}}}}}
---
apiVersion: faults.example.com/v1alpha1
kind: Widget
metadata: {name: first}
spec: {ok: true}
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: faults}
spec:
  layers:
  - name: core
    requirements:
    - {name: kubernetes, anyOf: [{component: kubernetes}], checks: [{name: nodes-ready}]}
  - name: apps
    requirements:
    - {name: app, anyOf: [{component: acme-app, version: ">=1.0.0"}]}
    - {name: agent, anyOf: [{component: acme-agent}]}
    - {name: no-other, presence: Absent, anyOf: [{component: weave-net}]}
  - name: storage
    requirements:
    - name: classes
      rule:
        resource: {group: storage.k8s.io, resource: storageclasses}
        expression: "object.metadata.name != 'unwanted'"
        message: no unwanted class
  - name: widgets
    requirements:
    - name: ok
      rule:
        resource: {group: faults.example.com, resource: widgets}
        expression: "object.spec.ok"
        message: all widgets are ok
`

// installPlatform installs the platform and waits until its pods are available.
func (tc *testCluster) installPlatform(ctx context.Context) error {
	objects, err := cluster.Parse([]byte(platformManifests))
	if err != nil {
		return err
	}
	if err := tc.ApplyObjects(ctx, objects, "acme"); err != nil {
		return err
	}
	for _, workload := range []string{"deployment/app", "daemonset/agent"} {
		if out, err := tc.Kubectl(ctx, "-n", "acme", "rollout", "status", workload, "--timeout=3m"); err != nil {
			return fmt.Errorf("%s: %w: %s", workload, err, out)
		}
	}
	return nil
}

// parseObject is one that YAML describes.
func parseObject(text string) *unstructured.Unstructured {
	parsed, err := cluster.Parse([]byte(text))
	if err != nil || len(parsed) != 1 {
		panic(fmt.Sprintf("%d objects: %v", len(parsed), err)) // the text is the test's own
	}
	return parsed[0]
}

// apply applies one object, and goes on while the API server does not take it.
func (tc *testCluster) apply(ctx context.Context, o *unstructured.Unstructured) error {
	return retry(ctx, func() error {
		return tc.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner("faults"), client.ForceOwnership)
	})
}

// remove deletes one object, where it is there.
func (tc *testCluster) remove(ctx context.Context, o *unstructured.Unstructured) error {
	return retry(ctx, func() error {
		foreground := metav1.DeletePropagationBackground
		return client.IgnoreNotFound(tc.Client.Delete(ctx, o.DeepCopy(), &client.DeleteOptions{PropagationPolicy: &foreground}))
	})
}

// retry tries again what fails because an API server has just started, or a CRD has just come.
func retry(ctx context.Context, try func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = try()
		return last == nil || apierrors.IsInvalid(last), nil
	})
	return errors.Join(err, last)
}
