package fill

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NodeName is the name of a node.
func NodeName(i int) string { return fmt.Sprintf("node-%05d", i) }

// nodeLeases is where kubelets keep their leases.
const nodeLeases = corev1.NamespaceNodeLease

func (f *filler) nodes(ctx context.Context) error {
	version, err := f.Typed.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	return Each(ctx, f.scale.Nodes, func(ctx context.Context, i int) error {
		_, err := f.Typed.CoreV1().Nodes().Create(ctx, node(i, version.GitVersion), metav1.CreateOptions{})
		return made("a node", err)
	})
}

func (f *filler) leases(ctx context.Context) error {
	return Each(ctx, f.scale.Nodes, func(ctx context.Context, i int) error {
		_, err := f.Typed.CoordinationV1().Leases(nodeLeases).Create(ctx, lease(i, time.Now()), metav1.CreateOptions{})
		return made("a lease", err)
	})
}

// RenewLease renews a node's lease as its kubelet does.
func RenewLease(ctx context.Context, clients *Clients, i int) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"renewTime": metav1.NewMicroTime(time.Now())}})
	if err != nil {
		return err
	}
	_, err = clients.Typed.CoordinationV1().Leases(nodeLeases).Patch(ctx, NodeName(i), types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// lease is the lease that a node's kubelet keeps.
func lease(i int, now time.Time) *coordinationv1.Lease {
	name, seconds, renewed := NodeName(i), int32(40), metav1.NewMicroTime(now)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: nodeLeases},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
}

func node(i int, version string) *corev1.Node {
	name, zone := NodeName(i), fmt.Sprintf("eu-west-1%c", 'a'+i%3)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("65806480Ki"),
		corev1.ResourcePods:             resource.MustParse("110"),
		corev1.ResourceEphemeralStorage: resource.MustParse("209702892Ki"),
		"hugepages-1Gi":                 resource.MustParse("0"),
		"hugepages-2Mi":                 resource.MustParse("0"),
	}
	address := fmt.Sprintf("10.%d.%d.%d", 64+i/65536, i/256%256, i%256)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
				"kubernetes.io/hostname": name, "node.kubernetes.io/instance-type": "m6i.4xlarge", "beta.kubernetes.io/instance-type": "m6i.4xlarge",
				"topology.kubernetes.io/region": "eu-west-1", "topology.kubernetes.io/zone": zone, "failure-domain.beta.kubernetes.io/zone": zone,
				"node.example.com/pool": fmt.Sprintf("pool-%d", i%8), "node.example.com/capacity-type": "on-demand",
			},
			Annotations: map[string]string{
				"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
				"csi.volume.kubernetes.io/nodeid": `{"ebs.csi.aws.com":"i-0` + fmt.Sprintf("%016x", i) + `"}`,
			},
		},
		Spec: corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 128+i/256, i%256), ProviderID: fmt.Sprintf("aws:///%s/i-0%016x", zone, i)},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Conditions: nodeConditions(time.Now().Add(-time.Hour), time.Now()),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeInternalDNS, Address: name + ".eu-west-1.compute.internal"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
			NodeInfo: corev1.NodeSystemInfo{
				MachineID:     fmt.Sprintf("ec2%029x", i),
				SystemUUID:    fmt.Sprintf("ec2%05x-0000-4000-8000-%012x", i, i),
				BootID:        fmt.Sprintf("%08x-1111-4111-8111-111111111111", i),
				KernelVersion: "6.12.40-63.114.amzn2023.x86_64", OSImage: "Amazon Linux 2023.8.20250808", ContainerRuntimeVersion: "containerd://2.1.4",
				KubeletVersion: version, OperatingSystem: "linux", Architecture: "amd64",
			},
			Images: nodeImages(i),
		},
	}
}

// nodeConditions are those that a kubelet and a healthy node have. A heartbeat moves beat alone.
func nodeConditions(since, beat time.Time) []corev1.NodeCondition {
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{
			Type: kind, Status: status, Reason: reason, Message: message,
			LastTransitionTime: metav1.NewTime(since), LastHeartbeatTime: metav1.NewTime(beat),
		}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}

func nodeImages(i int) []corev1.ContainerImage {
	images := make([]corev1.ContainerImage, 0, 20)
	for n := range 20 {
		repository := fmt.Sprintf("registry.corp.example/team-%02d/service-%04d", (i+n)%40, (i*7+n*131)%8000)
		images = append(images, corev1.ContainerImage{
			Names:     []string{fmt.Sprintf("%s@sha256:%064x", repository, i*20+n), fmt.Sprintf("%s:v1.%d.%d", repository, n, i%10)},
			SizeBytes: int64(40_000_000 + n*3_500_000),
		})
	}
	return images
}

// Heartbeat is a patch of a node's status that a kubelet sends when nothing has changed: the same conditions, seen again.
func Heartbeat(now time.Time) ([]byte, error) {
	beats := make([]map[string]any, 0, 4)
	for _, condition := range nodeConditions(now, now) {
		beats = append(beats, map[string]any{"type": condition.Type, "lastHeartbeatTime": condition.LastHeartbeatTime})
	}
	return json.Marshal(map[string]any{"status": map[string]any{"conditions": beats}})
}
