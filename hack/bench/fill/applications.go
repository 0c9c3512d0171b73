package fill

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Applications is the resource of Argo CD's Applications.
var Applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}

const argoNamespace = "argocd"

func (f *filler) applications(ctx context.Context) error {
	client := f.Dynamic.Resource(Applications).Namespace(argoNamespace)
	return Each(ctx, f.scale.Applications, func(ctx context.Context, i int) error {
		_, err := client.Create(ctx, f.application(i), metav1.CreateOptions{})
		return made("an Application", err)
	})
}

// application is one that is synced and healthy, with what it deployed in its status: about 5 KB.
func (f *filler) application(i int) *unstructured.Unstructured {
	name, namespace := fmt.Sprintf("application-%05d", i), f.namespaceOf(i)
	revision := fmt.Sprintf("%040x", i*2654435761)
	source := map[string]any{
		"repoURL": fmt.Sprintf("https://git.corp.example/%s/deploy.git", namespace), "path": "environments/production/" + name, "targetRevision": "main",
		"helm": map[string]any{"releaseName": name, "valueFiles": []any{"values.yaml", "values-production.yaml"}},
	}
	destination := map[string]any{"server": "https://kubernetes.default.svc", "namespace": namespace}
	var resources []any
	for n, kind := range []string{
		"ConfigMap", "Service", "ServiceAccount", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "NetworkPolicy",
		"Role", "RoleBinding", "Secret", "StatefulSet",
	} {
		resources = append(resources, map[string]any{
			"group": "apps", "version": "v1", "kind": kind, "namespace": namespace, "name": fmt.Sprintf("%s-%02d", name, n), "status": "Synced",
			"health": map[string]any{"status": "Healthy"},
		})
	}
	var history []any
	for n := range int64(5) {
		history = append(history, map[string]any{
			"id": n, "revision": revision, "deployStartedAt": "2026-01-05T08:00:00Z", "deployedAt": "2026-01-05T08:00:42Z", "source": source,
			"initiatedBy": map[string]any{"automated": true},
		})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{
			"name": name, "namespace": argoNamespace, "finalizers": []any{"resources-finalizer.argocd.argoproj.io"},
			"labels": map[string]any{"team.example.com/owner": namespace, "environment": "production"},
		},
		"spec": map[string]any{
			"project":     namespace,
			"source":      source,
			"destination": destination,
			"syncPolicy": map[string]any{
				"automated":   map[string]any{"prune": true, "selfHeal": true},
				"syncOptions": []any{"CreateNamespace=true", "ServerSideApply=true"},
			},
		},
		"status": map[string]any{
			"sync": map[string]any{
				"status":     "Synced",
				"revision":   revision,
				"comparedTo": map[string]any{"source": source, "destination": destination},
			},
			"health":              map[string]any{"status": "Healthy", "lastTransitionTime": "2026-01-05T08:00:43Z"},
			"resources":           resources,
			"history":             history,
			"sourceType":          "Helm",
			"reconciledAt":        "2026-01-05T09:00:00Z",
			"controllerNamespace": argoNamespace,
			"summary":             map[string]any{"images": []any{fmt.Sprintf("registry.corp.example/%s/%s:v1.0.0", namespace, name)}},
			"operationState": map[string]any{
				"phase":      "Succeeded",
				"message":    "successfully synced (all tasks run)",
				"startedAt":  "2026-01-05T08:00:00Z",
				"finishedAt": "2026-01-05T08:00:42Z",
				"operation":  map[string]any{"sync": map[string]any{"revision": revision, "prune": true}},
			},
		},
	}}
}
