package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/text"
)

// maxEvidence limits the objects that a finding names.
const maxEvidence = 8

// maxKubeletSkew is how many minor versions a kubelet may be older than the API server.
const maxKubeletSkew = 3

// checkAPIs adds the APIs in use that the target no longer serves.
func (p *planner) checkAPIs() {
	uses := map[API][]Use{}
	if err := p.reader.Uses(p.ctx, apisRemoved(p.target.Version), func(u Use) { uses[u.API] = append(uses[u.API], u) }); err != nil {
		p.add(Finding{Severity: Unknown, Category: Unreadable, Subject: "uses of removed APIs", Message: err.Error()})
	}
	compareAPIs := func(a, b API) int { return strings.Compare(a.version()+a.Kind, b.version()+b.Kind) }
	for _, api := range slices.SortedFunc(maps.Keys(uses), compareAPIs) {
		f := Finding{
			Severity: Blocking, Category: RemovedAPI, Subject: api.version() + " " + api.Kind,
			Message:     fmt.Sprintf("Kubernetes %d.%d no longer serves it, and it is in use", api.RemovedIn.Major(), api.RemovedIn.Minor()),
			Remediation: strings.ToUpper(api.advice()[:1]) + api.advice()[1:] + ".",
			Source:      "https://kubernetes.io/docs/reference/using-api/deprecation-guide/",
		}
		var by []string
		for _, use := range uses[api] {
			if len(f.Evidence) < maxEvidence {
				f.Evidence = append(f.Evidence, v1alpha1.Evidence{
					APIVersion: api.version(), Kind: api.Kind, Namespace: use.Namespace, Name: use.Name, Signal: use.By,
				})
			}
			if !slices.Contains(by, use.By) {
				by = append(by, use.By)
			}
		}
		f.Message += fmt.Sprintf(", for %s: %s", text.Count(len(uses[api]), "object"), strings.Join(by[:min(3, len(by))], "; "))
		if more := len(by) - 3; more > 0 {
			f.Message += fmt.Sprintf("; and %d more", more)
		}
		p.add(f)
		p.addStep(before, "Move what uses %s %s: %s.", api.version(), api.Kind, api.advice())
	}
}

// checkNodes adds the kubelets that are too old for the target.
func (p *planner) checkNodes() {
	outside, older := map[string][]string{}, 0
	p.each("", "nodes", func(o *unstructured.Unstructured) {
		version, _, _ := unstructured.NestedString(o.Object, "status", "nodeInfo", "kubeletVersion")
		parsed, ok := catalog.ParseVersion(catalog.CleanVersion(version))
		if !ok || parsed.Major() != p.target.Version.Major() {
			return
		}
		if parsed.Minor() < p.target.Version.Minor() {
			older++
		}
		if parsed.Minor()+maxKubeletSkew < p.target.Version.Minor() {
			minor := fmt.Sprintf("%d.%d", parsed.Major(), parsed.Minor())
			outside[minor] = append(outside[minor], o.GetName())
		}
	})
	for _, minor := range slices.Sorted(maps.Keys(outside)) {
		nodes := outside[minor]
		slices.Sort(nodes)
		f := Finding{
			Severity: Blocking, Category: Skew, Subject: "kubelets " + minor, Source: skewPolicy,
			Message: fmt.Sprintf("%s: a kubelet may be at most %d minor versions older than the API server: %s",
				text.Count(len(nodes), "node"), maxKubeletSkew, strings.Join(nodes[:min(maxEvidence, len(nodes))], ", ")),
			Remediation: fmt.Sprintf("Upgrade these kubelets to %d.%d or later first.",
				p.target.Version.Major(), p.target.Version.Minor()-maxKubeletSkew),
		}
		for _, node := range nodes[:min(maxEvidence, len(nodes))] {
			f.Evidence = append(f.Evidence, v1alpha1.Evidence{APIVersion: "v1", Kind: "Node", Name: node, Signal: "kubelet " + minor})
		}
		p.add(f)
		p.oldKubelets = append(p.oldKubelets, fmt.Sprintf("Upgrade the kubelets of %s from %s to %d.%d or later.", text.Count(len(nodes), "node"),
			minor, p.target.Version.Major(), p.target.Version.Minor()-maxKubeletSkew))
	}
	if older > 0 {
		p.addStep(after, "Upgrade the kubelets of %s to Kubernetes %s.", text.Count(older, "node"), p.target)
	}
}

// checkBudgets adds the PodDisruptionBudgets that allow no eviction.
func (p *planner) checkBudgets() {
	p.each("policy", "poddisruptionbudgets", func(o *unstructured.Unstructured) {
		allowed, isObserved, _ := unstructured.NestedInt64(o.Object, "status", "disruptionsAllowed")
		expected, _, _ := unstructured.NestedInt64(o.Object, "status", "expectedPods")
		if !isObserved || allowed > 0 || expected == 0 {
			return
		}
		healthy, _, _ := unstructured.NestedInt64(o.Object, "status", "currentHealthy")
		desired, _, _ := unstructured.NestedInt64(o.Object, "status", "desiredHealthy")
		p.add(Finding{
			Severity: Blocking, Category: Drain, Subject: "PodDisruptionBudget " + o.GetNamespace() + "/" + o.GetName(),
			Message: fmt.Sprintf("it allows no eviction, so the drain of a node waits: %d of %d pods are healthy, and it requires %d",
				healthy, expected, desired),
			Remediation: "Run more pods, or lower minAvailable: kubectl -n " + o.GetNamespace() + " describe pdb " + o.GetName(),
			Evidence:    []v1alpha1.Evidence{newEvidence(o)},
		})
	})
}

func newEvidence(o *unstructured.Unstructured) v1alpha1.Evidence {
	return v1alpha1.Evidence{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// checkCRDs adds the CRDs with stored versions that are not served or deprecated.
func (p *planner) checkCRDs() {
	p.each("apiextensions.k8s.io", "customresourcedefinitions", func(o *unstructured.Unstructured) {
		state := map[string]string{}
		versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
		for _, item := range versions {
			version, _ := item.(map[string]any)
			name, _ := version["name"].(string)
			switch {
			case version["served"] != true:
				state[name] = "no longer serves"
			case version["deprecated"] == true:
				state[name] = "deprecates"
			default:
				state[name] = ""
			}
		}
		stored, _, _ := unstructured.NestedStringSlice(o.Object, "status", "storedVersions")
		for _, name := range stored {
			reason, isDefined := state[name]
			if !isDefined {
				reason = "no longer has"
			}
			if reason == "" {
				continue
			}
			p.add(Finding{
				Severity: Warning, Category: StoredVersion, Subject: "CustomResourceDefinition " + o.GetName(),
				Message: fmt.Sprintf("objects may be stored in %s, which it %s", name, reason),
				Remediation: fmt.Sprintf("Write each object again, then remove %s from status.storedVersions, before the next upgrade of the CRD.",
					name),
				Source: "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/",
			})
		}
	})
}

// checkWebhooks adds the webhooks that match only versions which the target no longer serves.
func (p *planner) checkWebhooks() {
	removed := map[string]API{} // by group, version and resource
	for _, api := range apisRemoved(p.target.Version) {
		removed[api.Group+"/"+api.Version+"/"+api.Resource] = api
	}
	for _, resource := range []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
		p.each("admissionregistration.k8s.io", resource, func(o *unstructured.Unstructured) {
			webhooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
			for _, item := range webhooks {
				webhook, _ := item.(map[string]any)
				name, _ := webhook["name"].(string)
				if api, found := findRemoved(webhook, removed); found {
					p.add(Finding{
						Severity: Warning, Category: Webhook, Subject: o.GetKind() + " " + o.GetName(),
						Message: fmt.Sprintf("the webhook %s matches %s of %s only, which Kubernetes %s does not serve", name, api.Resource,
							api.version(), p.target),
						Remediation: "Upgrade the component that registers it, or add the version that replaces it: " + api.advice() + ".",
						Evidence:    []v1alpha1.Evidence{newEvidence(o)},
					})
				}
			}
		})
	}
}

// findRemoved returns the API of the first rule of a webhook whose versions are all removed.
func findRemoved(webhook map[string]any, removed map[string]API) (API, bool) {
	rules, _, _ := unstructured.NestedSlice(webhook, "rules")
	for _, item := range rules {
		rule, _ := item.(map[string]any)
		groups, _, _ := unstructured.NestedStringSlice(rule, "apiGroups")
		versions, _, _ := unstructured.NestedStringSlice(rule, "apiVersions")
		resources, _, _ := unstructured.NestedStringSlice(rule, "resources")
		for _, group := range groups {
			for _, resource := range resources {
				var found []API
				for _, version := range versions {
					if api, ok := removed[group+"/"+version+"/"+resource]; ok {
						found = append(found, api)
					}
				}
				if len(found) > 0 && len(found) == len(versions) {
					return found[0], true
				}
			}
		}
	}
	return API{}, false
}

// checkAPIServices adds the aggregated APIs that do not respond.
func (p *planner) checkAPIServices() {
	p.each("apiregistration.k8s.io", "apiservices", func(o *unstructured.Unstructured) {
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, item := range conditions {
			condition, _ := item.(map[string]any)
			if condition["type"] != "Available" || condition["status"] != "False" {
				continue
			}
			message, _ := condition["message"].(string)
			p.add(Finding{
				Severity: Warning, Category: APIService, Subject: "APIService " + o.GetName(),
				Message:     "it is not available: " + message,
				Remediation: "Repair or remove it first: discovery and the deletion of namespaces fail while it does not respond.",
				Evidence:    []v1alpha1.Evidence{newEvidence(o)},
			})
		}
	})
}
