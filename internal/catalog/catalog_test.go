package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func newWorkload(kind, name string, labels map[string]string, images ...string) *facts.Workload {
	w := &facts.Workload{Ref: facts.Ref{APIVersion: "apps/v1", Kind: kind, Namespace: "ns", Name: name}, Labels: facts.NewLabels(labels)}
	for _, image := range images {
		parsed, ok := facts.ParseImage(image)
		if !ok {
			panic(image)
		}
		w.Containers = append(w.Containers, facts.Container{Name: "main", Image: parsed})
	}
	return w
}

func newNamed(kind facts.NameKind, values ...string) *facts.Named {
	return &facts.Named{Ref: facts.Ref{Kind: "Thing", Name: "thing"}, NameKind: kind, Values: values}
}

// A signal may match the name, arguments and env of a container, because an image path in a private registry may be generic.
func TestMatchByContainer(t *testing.T) {
	definition := &v1alpha1.PlatformComponent{}
	definition.Name = "balancer"
	definition.Spec.Layer = "network"
	definition.Spec.Signals.Workloads = []v1alpha1.WorkloadSignal{
		{Images: []string{"speaker"}, Env: []string{"BALANCER_NODE"}, Arguments: []string{"--listen"}},
		{Containers: []string{"balancer-agent"}},
	}
	component, errs := Compile(definition)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	c := New(component)
	speaker, _ := facts.ParseImage("harbor.corp.example/mirror/speaker:v1.2.3")
	other, _ := facts.ParseImage("harbor.corp.example/mirror/other:v9")
	for name, test := range map[string]struct {
		containers []facts.Container
		want       string
	}{
		"all of one container":        {[]facts.Container{{Name: "x", Image: speaker, Arguments: []string{"--listen", "speaker"}, Env: []string{"BALANCER_NODE"}}}, "v1.2.3"},
		"without the variable":        {[]facts.Container{{Name: "x", Image: speaker, Arguments: []string{"--listen"}}}, ""},
		"without the argument":        {[]facts.Container{{Name: "x", Image: speaker, Env: []string{"BALANCER_NODE"}}}, ""},
		"spread over two containers":  {[]facts.Container{{Name: "x", Image: speaker, Arguments: []string{"--listen"}}, {Name: "y", Image: other, Env: []string{"BALANCER_NODE"}}}, ""},
		"by the container's own name": {[]facts.Container{{Name: "balancer-agent", Image: other}}, "v9"},
	} {
		w := newWorkload("DaemonSet", "w", nil)
		w.Containers = test.containers
		got := ""
		if matches := c.Match(w); len(matches) == 1 {
			got = matches[0].Tag
		}
		if got != test.want {
			t.Errorf("%s: matched by the tag %q, want %q", name, got, test.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for name, test := range map[string]struct {
		signals string
		fact    facts.Fact
		want    string // the signal that matched, with the role; empty for no match
	}{
		"an image":                                {"workloads: [{images: [example/x]}]", newWorkload("Deployment", "a", nil, "example/x:v1"), "Proof image docker.io/example/x:v1"},
		"an image of a mirror":                    {"workloads: [{images: [example/x]}]", newWorkload("Deployment", "a", nil, "harbor.corp:5000/quay/example/x:v1"), "Proof image harbor.corp:5000/quay/example/x:v1"},
		"an image by digest":                      {"workloads: [{images: [example/x]}]", newWorkload("Deployment", "a", nil, "example/x@sha256:"+strings.Repeat("0", 64)), "Proof image docker.io/example/x"},
		"a namesake's image":                      {"workloads: [{images: [example/x]}]", newWorkload("Deployment", "a", nil, "evil-example/x:v1", "example/x2:v1", "example/x/y"), ""},
		"the second container":                    {"workloads: [{images: [example/x]}]", newWorkload("Deployment", "a", nil, "envoy:v1", "example/x:v2"), "Proof image docker.io/example/x:v2"},
		"an image in another kind":                {"workloads: [{kinds: [DaemonSet], images: [example/x]}]", newWorkload("Deployment", "a", nil, "example/x:v1"), ""},
		"an image without its label":              {"workloads: [{images: [example/x], labels: {app: x}}]", newWorkload("Deployment", "a", map[string]string{"app": "y"}, "example/x:v1"), ""},
		"an image with its label":                 {"workloads: [{images: [example/x], labels: {app: x}}]", newWorkload("Deployment", "a", map[string]string{"app": "x"}, "example/x:v1"), "Proof image docker.io/example/x:v1"},
		"an image without its name":               {"workloads: [{images: [example/x], names: [b]}]", newWorkload("Deployment", "a", nil, "example/x:v1"), ""},
		"a label":                                 {"workloads: [{labels: {app: x}}]", newWorkload("StatefulSet", "a", map[string]string{"app": "x"}, "any:v1"), "Proof label app=x"},
		"a label of any value":                    {"workloads: [{labels: {vault_cr: '*'}}]", newWorkload("StatefulSet", "a", map[string]string{"vault_cr": "mine"}), "Proof label vault_cr=mine"},
		"one of two labels":                       {"workloads: [{labels: {app: x, tier: db}}]", newWorkload("StatefulSet", "a", map[string]string{"app": "x"}), ""},
		"a label of the pods":                     {"workloads: [{labels: {app: x}}]", &facts.Workload{Ref: facts.Ref{Kind: "Deployment"}, PodLabels: facts.NewLabels(map[string]string{"app": "x"})}, "Proof label app=x"},
		"a name":                                  {"workloads: [{names: [anetd]}]", newWorkload("DaemonSet", "anetd", nil), "Proof name anetd"},
		"a supporting workload":                   {"workloads: [{images: [example/y]}, {images: [example/x], role: Support}]", newWorkload("Deployment", "a", nil, "example/x"), "Support image docker.io/example/x"},
		"a proof before what supports":            {"workloads: [{labels: {app: x}, role: Support}, {images: [example/x]}]", newWorkload("Deployment", "a", map[string]string{"app": "x"}, "example/x"), "Proof image docker.io/example/x"},
		"a proof by a label before what supports": {"workloads: [{images: [example/x], role: Support}, {labels: {app: x}}]", newWorkload("Deployment", "a", map[string]string{"app": "x"}, "example/x"), "Proof label app=x"},
		"the first of several proofs":             {"workloads: [{labels: {app: x}}, {images: [example/x]}]", newWorkload("Deployment", "a", map[string]string{"app": "x"}, "example/x"), "Proof label app=x"},
		"a CRD by its group":                      {"crds: [{name: example.com, role: Proof}]", newNamed(facts.CRDName, "widgets.example.com"), "Proof CRD widgets.example.com"},
		"a CRD of a group below it":               {"crds: [{name: example.com, role: Proof}]", newNamed(facts.CRDName, "widgets.sub.example.com"), ""},
		"a CRD by its name":                       {"crds: [{name: widgets.example.com, role: Proof}]", newNamed(facts.CRDName, "widgets.example.com"), "Proof CRD widgets.example.com"},
		"another CRD of the group":                {"crds: [{name: widgets.example.com, role: Proof}]", newNamed(facts.CRDName, "gadgets.example.com"), ""},
		"a CRD supports by default":               {"workloads: [{images: [example/x]}], crds: [{name: example.com}]", newNamed(facts.CRDName, "widgets.example.com"), "Support CRD widgets.example.com"},
		"a provisioner":                           {"storageProvisioners: [{name: example.com/nfs, role: Proof}]", newNamed(facts.StorageProvisioner, "example.com/nfs"), "Proof provisioner example.com/nfs"},
		"a provisioner with a prefix":             {"storageProvisioners: [{name: '*.rbd.csi.ceph.com', role: Proof}]", newNamed(facts.StorageProvisioner, "my.ns.rbd.csi.ceph.com"), "Proof provisioner my.ns.rbd.csi.ceph.com"},
		"a provisioner without the prefix":        {"storageProvisioners: [{name: '*.rbd.csi.ceph.com', role: Proof}]", newNamed(facts.StorageProvisioner, "rbd.csi.ceph.com"), ""},
		"a CSI driver with a prefix":              {"csiDrivers: [{name: '*.rbd.csi.ceph.com', role: Proof}]", newNamed(facts.CSIDriverName, "rook.rbd.csi.ceph.com"), "Proof CSI driver rook.rbd.csi.ceph.com"},
		"a driver is no provisioner":              {"csiDrivers: [{name: a.b.c, role: Proof}]", newNamed(facts.StorageProvisioner, "a.b.c"), ""},
		"an ingress controller":                   {"ingressControllers: [{name: k8s.io/ingress-nginx, role: Proof}]", newNamed(facts.IngressController, "k8s.io/ingress-nginx"), "Proof ingress controller k8s.io/ingress-nginx"},
		"a gateway controller":                    {"gatewayControllers: [{name: io.cilium/gateway-controller, role: Proof}]", newNamed(facts.GatewayController, "io.cilium/gateway-controller"), "Proof gateway controller io.cilium/gateway-controller"},
		"an API service by its group":             {"apiServices: [{name: metrics.k8s.io, role: Proof}]", newNamed(facts.APIServiceName, "metrics.k8s.io", "v1beta1.metrics.k8s.io"), "Proof API service metrics.k8s.io"},
		"a webhook by its end":                    {"webhooks: [{name: validation.istio.io, role: Proof}]", newNamed(facts.WebhookName, "rev.validation.istio.io"), "Proof webhook rev.validation.istio.io"},
		"a webhook of a namesake":                 {"webhooks: [{name: istio.io, role: Proof}]", newNamed(facts.WebhookName, "rev.notistio.io"), ""},
		"a runtime handler":                       {"runtimeHandlers: [{name: runsc, role: Proof}]", newNamed(facts.RuntimeHandler, "runsc"), "Proof runtime handler runsc"},
		"a node's runtime":                        {"nodes: [{containerRuntime: containerd}]", &facts.Node{ContainerRuntime: "containerd://2.1.4"}, "Proof container runtime containerd://2.1.4"},
		"another runtime":                         {"nodes: [{containerRuntime: containerd}]", &facts.Node{ContainerRuntime: "containerd-fork://2.1.4"}, ""},
		"a kubelet":                               {"nodes: [{kubeletVersion: '[+]k3s'}]", &facts.Node{Kubelet: "v1.34.1+k3s1"}, "Proof kubelet v1.34.1+k3s1"},
		"an operating system":                     {"nodes: [{osImage: '^Talos'}]", &facts.Node{OSImage: "Talos (v1.9.1)"}, "Proof OS image Talos (v1.9.1)"},
		"a provider":                              {"nodes: [{providerID: 'kind://'}]", &facts.Node{ProviderID: "kind://docker/x"}, "Proof provider ID kind://"},
		"a node's label and annotation":           {"nodes: [{labels: {a.dev/x: '*'}, annotations: [b.dev/y]}]", &facts.Node{Labels: facts.NewLabels(map[string]string{"a.dev/x": "1"}), Annotations: []string{"a", "b.dev/y"}}, "Proof annotation b.dev/y"},
		"a node without the annotation":           {"nodes: [{labels: {a.dev/x: '*'}, annotations: [b.dev/y]}]", &facts.Node{Labels: facts.NewLabels(map[string]string{"a.dev/x": "1"})}, ""},
		"a ConfigMap":                             {"configMaps: [{namespace: kube-system, name: kubeadm-config, role: Proof}]", newConfigMap("kubeadm-config", ""), "Proof ConfigMap kube-system/kubeadm-config"},
		"a ConfigMap with a text":                 {"configMaps: [{namespace: kube-system, name: c, contains: kubespray, role: Proof}]", newConfigMap("c", "dir: /etc/kubespray"), "Proof ConfigMap kube-system/c"},
		"a ConfigMap without the text":            {"configMaps: [{namespace: kube-system, name: c, contains: kubespray, role: Proof}]", newConfigMap("c", "dir: /etc"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			matches := New(compileComponent(t, "x", "signals: {"+test.signals+"}")).Match(test.fact)
			got := ""
			for _, match := range matches {
				got += string(match.Role) + " " + match.Signal
			}
			if got != test.want {
				t.Errorf("matched %q, want %q", got, test.want)
			}
		})
	}
}

func newConfigMap(name, data string) *facts.ConfigMap {
	return &facts.ConfigMap{Ref: facts.Ref{Kind: "ConfigMap", Namespace: "kube-system", Name: name}, Data: map[string]string{"x": data}}
}

func TestMatchSeveralComponents(t *testing.T) {
	c := New(
		compileComponent(t, "b", "signals: {workloads: [{images: [example/x]}]}"),
		compileComponent(t, "a", "signals: {workloads: [{labels: {app: x}}]}"),
	)
	var got []string
	for _, match := range c.Match(newWorkload("Deployment", "x", map[string]string{"app": "x", "z": "z"}, "example/x:v1.2.3")) {
		got = append(got, match.Component.Name+" "+match.Tag)
	}
	if !slices.Equal(got, []string{"a v1.2.3", "b v1.2.3"}) {
		t.Errorf("matched %v", got)
	}
}

func TestLastDefinitionWins(t *testing.T) {
	c := New(
		compileComponent(t, "x", "capabilities: [cni]\nsignals: {workloads: [{images: [example/old]}]}"),
		compileComponent(t, "z", "capabilities: [cni]\nsignals: {workloads: [{images: [example/y]}]}"),
		compileComponent(t, "x", "capabilities: [ingress]\nsignals: {workloads: [{images: [example/new]}]}"),
	)
	if got := c.Match(newWorkload("Deployment", "a", nil, "example/old")); len(got) > 0 {
		t.Errorf("the overridden definition still matches: %v", got)
	}
	if got := c.Match(newWorkload("Deployment", "a", nil, "example/new")); len(got) != 1 {
		t.Errorf("the overriding definition matches %d times", len(got))
	}
	if !slices.Equal(c.Names(), []string{"x", "z"}) || !slices.Equal(c.Providers("cni"), []string{"z"}) ||
		!slices.Equal(c.Providers("ingress"), []string{"x"}) {
		t.Errorf("names %v, cni %v, ingress %v", c.Names(), c.Providers("cni"), c.Providers("ingress"))
	}
}

func TestBuiltinRulesCompile(t *testing.T) {
	components, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, component := range components {
		path := field.NewPath(component.Name)
		for _, instance := range component.Instances() {
			for _, err := range instance.Compile(path) {
				t.Error(err)
			}
		}
		for name, check := range component.Checks {
			for _, err := range check.Rule.Compile(path.Child(name)) {
				t.Error(err)
			}
		}
	}
}

func TestSourcesAndInstances(t *testing.T) {
	c := New(compileComponent(t, "x", `signals:
  workloads: [{kinds: [DaemonSet], images: [example/x]}, {images: [example/y], role: Support}]
  nodes: [{containerRuntime: x}]
  webhooks: [{name: hook.example.com, role: Proof}]
  configMaps: [{namespace: kube-system, name: c, role: Proof}, {namespace: kube-system, name: b}]
  crds: [{name: example.com}]
version: [{from: Expression, resource: {group: example.com, resource: widgets}, expression: "''"}]
health: {rules: [{name: a, resource: {group: example.com, resource: gadgets}, expression: "true", message: m}]}`))
	want := []string{
		"configmaps/c in kube-system", "daemonsets.apps", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "nodes",
		"validatingwebhookconfigurations.admissionregistration.k8s.io",
	}
	if got := c.Component("x").ProofSources(); !slices.Equal(got, want) {
		t.Errorf("the sources of proofs are %v, want %v", got, want)
	}
	for _, instance := range c.Instances() {
		if got := c.ComponentsDecidedBy(instance.Key); !slices.Equal(got, []string{"x"}) {
			t.Errorf("the rule on %v decides %v", instance.Resources, got)
		}
	}
	if got := len(c.Instances()); got != 2 {
		t.Errorf("there are %d rules for health and version", got)
	}
	if got := fmt.Sprint(c.NamedObjects()); got != "[{ConfigMap kube-system b} {ConfigMap kube-system c}]" {
		t.Errorf("ConfigMaps read: %s", got)
	}
}

// copyDefinition returns a definition of another product. Containers, arguments and the last part of an image's path are often the same.
func copyDefinition(definition *v1alpha1.PlatformComponent, n int) *v1alpha1.PlatformComponent {
	d := definition.DeepCopy()
	suffix := fmt.Sprintf("-%d", n)
	d.Name += suffix
	for i := range d.Spec.Signals.Workloads {
		signal := &d.Spec.Signals.Workloads[i]
		for j := range signal.Images {
			if organisation, name, hasOrganisation := strings.Cut(signal.Images[j], "/"); hasOrganisation {
				signal.Images[j] = organisation + suffix + "/" + name
			} else {
				signal.Images[j] += suffix
			}
		}
		for j := range signal.Names {
			signal.Names[j] += suffix
		}
		for key, value := range signal.Labels {
			if isProduct := key == "app" || key == "app.kubernetes.io/name"; isProduct && value != "*" {
				signal.Labels[key] = value + v1alpha1.LabelValue(suffix)
			}
		}
	}
	return d
}

// BenchmarkMatch measures the cost of a match, which is per workload: with the built-in definitions, and with copies of them.
func BenchmarkMatch(b *testing.B) {
	definitions, err := Definitions()
	if err != nil {
		b.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(definitions))
	for _, n := range []int{len(names), 3000} {
		components := make([]*Component, 0, n)
		for i := range n {
			definition := definitions[names[i%len(names)]]
			if round := i / len(names); round > 0 {
				definition = copyDefinition(definition, round)
			}
			component, errs := compile(definition, false)
			if len(errs) > 0 {
				b.Fatal(errs.ToAggregate())
			}
			components = append(components, component)
		}
		c := New(components...)
		for name, test := range map[string]struct {
			workload *facts.Workload
			want     int
		}{
			"application": {newWorkload("Deployment", "cart", map[string]string{
				"app.kubernetes.io/name": "cart", "app.kubernetes.io/instance": "cart", "app.kubernetes.io/component": "server", "team": "shop",
			}, "registry.corp.example/shop/cart:v1.2.3", "envoyproxy/envoy:v1.31"), 0},
			"operator": {inContainer("manager", newWorkload("Deployment", "cnpg-controller-manager", map[string]string{
				"app.kubernetes.io/name": "cloudnative-pg", "control-plane": "controller-manager",
			}, "mirror.corp.example/cloudnative-pg/cloudnative-pg:1.27.1")), 1},
			"its own operator": {inContainer("manager", newWorkload("Deployment", "controller-manager", map[string]string{
				"app.kubernetes.io/name": "shop-operator", "control-plane": "controller-manager",
			}, "registry.corp.example/shop/controller:v1")), 0},
		} {
			if matches := c.Match(test.workload); len(matches) != test.want {
				b.Fatalf("%s: %v", name, matches)
			}
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, " ", "-"), n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.Match(test.workload)
				}
			})
		}
	}
}

// inContainer returns the workload with containers of that name.
func inContainer(name string, w *facts.Workload) *facts.Workload {
	for i := range w.Containers {
		w.Containers[i].Name = name
	}
	return w
}
