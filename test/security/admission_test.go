package security

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// operatorPod is a pod of the Deployment in config/default. The chart has the same one: test/packaging compares them.
func operatorPod(t *testing.T) *corev1.Pod {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(cluster.Root(), "bin", "k8s", "kubectl"), "kustomize",
		filepath.Join(cluster.Root(), "config", "default")).Output()
	cluster.Must(t, err)
	objects, err := cluster.Parse(out)
	cluster.Must(t, err)
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			deployment := &appsv1.Deployment{}
			cluster.Must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment))
			return &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: "tried", Labels: deployment.Spec.Template.Labels},
				Spec:       deployment.Spec.Template.Spec,
			}
		}
	}
	t.Fatal("config/default has no Deployment")
	return nil
}

// TestThePodIsAdmittedAndNoWeakerOne has the API server's own admission validate the pod, and pods that lack one of the
// things that the standard restricted asks for.
func TestThePodIsAdmittedAndNoWeakerOne(t *testing.T) {
	admitted := operatorPod(t)
	try := func(pod *corev1.Pod) error { return env.Client.Create(t.Context(), pod, client.DryRunAll) }
	if err := try(admitted.DeepCopy()); err != nil {
		t.Fatalf("the pod is refused: %v", err)
	}
	yes, no, root := true, false, int64(0)
	for what, test := range map[string]struct {
		weaken func(*corev1.PodSpec, *corev1.SecurityContext)
		want   string
	}{
		"root by default": {func(p *corev1.PodSpec, _ *corev1.SecurityContext) {
			p.SecurityContext.RunAsNonRoot = nil
		}, "runAsNonRoot != true"},
		"root allowed":     {func(_ *corev1.PodSpec, c *corev1.SecurityContext) { c.RunAsNonRoot = &no }, "runAsNonRoot != true"},
		"root":             {func(p *corev1.PodSpec, _ *corev1.SecurityContext) { p.SecurityContext.RunAsUser = &root }, "runAsUser=0"},
		"all capabilities": {func(_ *corev1.PodSpec, c *corev1.SecurityContext) { c.Capabilities = nil }, "unrestricted capabilities"},
		"a capability added": {func(_ *corev1.PodSpec, c *corev1.SecurityContext) {
			c.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
		}, "unrestricted capabilities"},
		"no seccomp profile": {func(p *corev1.PodSpec, _ *corev1.SecurityContext) { p.SecurityContext.SeccompProfile = nil }, "seccompProfile"},
		"seccomp unconfined": {func(p *corev1.PodSpec, _ *corev1.SecurityContext) {
			p.SecurityContext.SeccompProfile.Type = corev1.SeccompProfileTypeUnconfined
		}, "seccompProfile"},
		"escalation allowed":   {func(_ *corev1.PodSpec, c *corev1.SecurityContext) { c.AllowPrivilegeEscalation = &yes }, "allowPrivilegeEscalation != false"},
		"escalation not ruled": {func(_ *corev1.PodSpec, c *corev1.SecurityContext) { c.AllowPrivilegeEscalation = nil }, "allowPrivilegeEscalation != false"},
		"privileged": {func(_ *corev1.PodSpec, c *corev1.SecurityContext) {
			c.AllowPrivilegeEscalation, c.Privileged = nil, &yes
		}, "privileged"},
		"the node's network":   {func(p *corev1.PodSpec, _ *corev1.SecurityContext) { p.HostNetwork = true }, "hostNetwork=true"},
		"the node's processes": {func(p *corev1.PodSpec, _ *corev1.SecurityContext) { p.HostPID = true }, "hostPID=true"},
		"a port of the node":   {func(p *corev1.PodSpec, _ *corev1.SecurityContext) { p.Containers[0].Ports[0].HostPort = 8443 }, "hostPort"},
		"a folder of the node": {func(p *corev1.PodSpec, _ *corev1.SecurityContext) {
			p.Volumes = []corev1.Volume{{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}, "hostPath"},
	} {
		pod := admitted.DeepCopy()
		test.weaken(&pod.Spec, pod.Spec.Containers[0].SecurityContext)
		if err := try(pod); err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`) ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want a refusal that names %s, got %v", what, test.want, err)
		}
	}
}

// TestTheNetworkPolicy has the API server accept the policy, which must select the pods of the Deployment.
func TestTheNetworkPolicy(t *testing.T) {
	folder := filepath.Join("config", "network-policy")
	if out, err := env.Kubectl(t.Context(), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", folder); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := env.Kubectl(t.Context(), "create", "--dry-run=server", "-o", "jsonpath={.spec.podSelector.matchLabels}", "-k", folder)
	cluster.Must(t, err)
	labels := operatorPod(t).Labels
	for _, label := range []string{"app.kubernetes.io/component", "app.kubernetes.io/name"} {
		if !strings.Contains(out, `"`+label+`":"`+labels[label]+`"`) || labels[label] == "" {
			t.Errorf("it selects %s, and the pods have %v", out, labels)
		}
	}
}
