package fill

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// replicas is how many pods a Deployment or StatefulSet wants.
const replicas = 3

// workload is one that the cluster holds.
type workload struct {
	namespace, name, image string
}

// namespaceOf is the namespace of what no custom component claims.
func (f *filler) namespaceOf(i int) string { return fmt.Sprintf("team-%03d", i%f.scale.Namespaces) }

// deployment is the Deployment of a number. The first ones belong to custom components, evenly.
func (f *filler) deployment(i int) workload {
	if per := f.scale.PerComponent(); i < per*f.scale.Components {
		return memberOf(i/per, i%per)
	}
	return workload{
		f.namespaceOf(i),
		fmt.Sprintf("service-%05d", i),
		fmt.Sprintf("registry.corp.example/team-%03d/service-%05d:v1.%d.%d", i%f.scale.Namespaces, i, i%20, i%7),
	}
}

// memberOf is a Deployment of a custom component. All of a component are in one namespace, so that they are one
// installation, as unhealthy as the worst of them.
func memberOf(component, i int) workload {
	return workload{
		ComponentName(component),
		MemberName(component, i),
		fmt.Sprintf("registry.corp.example/%s:1.%d.0", componentImage(component), component%10),
	}
}

// MemberName is the name of a Deployment of a custom component; its namespace is the component's name.
func MemberName(component, i int) string {
	return fmt.Sprintf("%s-part-%02d", ComponentName(component), i)
}

func (f *filler) deployments(ctx context.Context) error {
	return Each(ctx, f.scale.Deployments, func(ctx context.Context, i int) error {
		return f.rolledOut(ctx, f.deployment(i))
	})
}

// Further adds Deployments that no definition recognises to a filled cluster.
func Further(ctx context.Context, clients *Clients, scale *Scale) error {
	f := &filler{Clients: clients, scale: scale}
	return Each(ctx, scale.Further, func(ctx context.Context, i int) error {
		return f.rolledOut(ctx, f.deployment(scale.Deployments+i))
	})
}

// rolledOut makes a Deployment and gives it the status that its controller would.
func (f *filler) rolledOut(ctx context.Context, w workload) error {
	count := int32(replicas)
	deployment := &appsv1.Deployment{
		ObjectMeta: w.meta(),
		Spec: appsv1.DeploymentSpec{
			Replicas: &count, Selector: &metav1.LabelSelector{MatchLabels: w.selector()}, Template: w.template(),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType},
		},
	}
	client := f.Typed.AppsV1().Deployments(w.namespace)
	created, err := client.Create(ctx, deployment, metav1.CreateOptions{})
	if err != nil {
		return made("a Deployment", err)
	}
	created.Status = *DeploymentStatus(created.Generation, w.name, true)
	if _, err := client.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing a Deployment's status: %w", err)
	}
	return nil
}

// DeploymentStatus is that of a Deployment whose rollout is over, with all of its pods available or with none.
func DeploymentStatus(generation int64, name string, available bool) *appsv1.DeploymentStatus {
	ready, is, reason, message := int32(replicas), corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability."
	if !available {
		ready, is, reason, message = 0, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
	}
	now := metav1.NewTime(time.Now())
	return &appsv1.DeploymentStatus{
		ObservedGeneration:  generation,
		Replicas:            replicas,
		UpdatedReplicas:     replicas,
		ReadyReplicas:       ready,
		AvailableReplicas:   ready,
		UnavailableReplicas: replicas - ready,
		Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: is, Reason: reason, Message: message, LastUpdateTime: now, LastTransitionTime: now},
			{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
				Message: fmt.Sprintf("ReplicaSet %q has successfully progressed.", name+"-6d8f5c9b7f"), LastUpdateTime: now, LastTransitionTime: now,
			},
		},
	}
}

func (f *filler) daemonSets(ctx context.Context) error {
	return Each(ctx, f.scale.DaemonSets, func(ctx context.Context, i int) error {
		w := workload{f.namespaceOf(i), fmt.Sprintf("agent-%03d", i), fmt.Sprintf("registry.corp.example/agents/agent-%03d:2.%d.0", i, i%9)}
		client := f.Typed.AppsV1().DaemonSets(w.namespace)
		created, err := client.Create(ctx, &appsv1.DaemonSet{
			ObjectMeta: w.meta(), Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: w.selector()}, Template: w.template()},
		}, metav1.CreateOptions{})
		if err != nil {
			return made("a DaemonSet", err)
		}
		created.Status = daemonSetStatus(created.Generation, f.scale.Nodes)
		_, err = client.UpdateStatus(ctx, created, metav1.UpdateOptions{})
		return err
	})
}

func daemonSetStatus(generation int64, nodes int) appsv1.DaemonSetStatus {
	n := int32(nodes)
	return appsv1.DaemonSetStatus{
		ObservedGeneration:     generation,
		DesiredNumberScheduled: n,
		CurrentNumberScheduled: n,
		UpdatedNumberScheduled: n,
		NumberReady:            n,
		NumberAvailable:        n,
	}
}

func (f *filler) statefulSets(ctx context.Context) error {
	return Each(ctx, f.scale.StatefulSets, func(ctx context.Context, i int) error {
		count := int32(replicas)
		w := workload{f.namespaceOf(i), fmt.Sprintf("store-%04d", i), fmt.Sprintf("registry.corp.example/stores/store-%04d:16.%d", i, i%9)}
		client := f.Typed.AppsV1().StatefulSets(w.namespace)
		created, err := client.Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: w.meta(),
			Spec: appsv1.StatefulSetSpec{
				Replicas: &count, ServiceName: w.name, Selector: &metav1.LabelSelector{MatchLabels: w.selector()}, Template: w.template(),
				VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
					ObjectMeta: metav1.ObjectMeta{Name: "data"},
					Spec: corev1.PersistentVolumeClaimSpec{
						AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
						Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}},
					},
				}},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return made("a StatefulSet", err)
		}
		created.Status = statefulSetStatus(created.Generation, count, w.name+"-7c9d8b6f5d")
		_, err = client.UpdateStatus(ctx, created, metav1.UpdateOptions{})
		return err
	})
}

func statefulSetStatus(generation int64, count int32, revision string) appsv1.StatefulSetStatus {
	return appsv1.StatefulSetStatus{
		ObservedGeneration: generation,
		Replicas:           count,
		ReadyReplicas:      count,
		AvailableReplicas:  count,
		CurrentReplicas:    count,
		UpdatedReplicas:    count,
		CurrentRevision:    revision,
		UpdateRevision:     revision,
	}
}

func (w workload) selector() map[string]string {
	return map[string]string{"app.kubernetes.io/name": w.name, "app.kubernetes.io/instance": w.namespace}
}

func (w workload) meta() metav1.ObjectMeta {
	labels := w.selector()
	labels["app.kubernetes.io/managed-by"] = "Helm"
	labels["app.kubernetes.io/part-of"] = w.namespace
	labels["helm.sh/chart"] = "service-3.4.1"
	labels["team.example.com/owner"] = w.namespace
	return metav1.ObjectMeta{
		Namespace: w.namespace, Name: w.name, Labels: labels,
		Annotations: map[string]string{
			"meta.helm.sh/release-name": w.namespace, "meta.helm.sh/release-namespace": w.namespace, "deployment.kubernetes.io/revision": "7",
			"team.example.com/runbook": "https://runbooks.corp.example/" + w.namespace + "/" + w.name, "team.example.com/contact": w.namespace + "@corp.example",
		},
	}
}

// template is a pod template as teams write them: an application and a log forwarder, with their settings.
func (w workload) template() corev1.PodTemplateSpec {
	no, yes, user, grace := false, true, int64(10001), int64(45)
	app := corev1.Container{
		Name: "app", Image: w.image, Args: []string{"--listen=:8080", "--metrics=:9090", "--config=/etc/app/config.yaml", "--log-format=json"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		LivenessProbe: probe("/livez", 20), ReadinessProbe: probe("/readyz", 5), StartupProbe: probe("/readyz", 2),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: "/etc/app", ReadOnly: true},
			{Name: "tmp", MountPath: "/tmp"},
			{Name: "certificates", MountPath: "/etc/tls", ReadOnly: true},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			ReadOnlyRootFilesystem:   &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	for n := range 14 {
		app.Env = append(app.Env, corev1.EnvVar{Name: fmt.Sprintf("APP_SETTING_%02d", n), Value: fmt.Sprintf("https://dependency-%02d.%s.svc.cluster.local:8443/api/v1", n, w.namespace)})
	}
	app.Env = append(app.Env,
		corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		corev1.EnvVar{
			Name: "DATABASE_PASSWORD",
			ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: w.name}, Key: "password"},
			},
		},
	)
	forwarder := corev1.Container{
		Name:         "log-forwarder",
		Image:        "registry.corp.example/platform/log-forwarder:4.2.1",
		Args:         []string{"--from=/tmp/logs", "--to=logs.platform.svc:4317"},
		Env:          []corev1.EnvVar{{Name: "SERVICE_NAME", Value: w.name}, {Name: "SERVICE_NAMESPACE", Value: w.namespace}},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		},
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: w.selector(),
			Annotations: map[string]string{
				"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "checksum/config": fmt.Sprintf("%064x", len(w.name)*7919),
				"kubectl.kubernetes.io/default-container": "app",
			},
		},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{app, forwarder},
			TerminationGracePeriodSeconds: &grace,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   &yes,
				RunAsUser:      &user,
				FSGroup:        &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{
				{
					Name: "config",
					VolumeSource: corev1.VolumeSource{
						ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: w.name}},
					},
				},
				{Name: "certificates", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: w.name + "-tls"}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
				{
					MaxSkew:           1,
					TopologyKey:       "topology.kubernetes.io/zone",
					WhenUnsatisfiable: corev1.ScheduleAnyway,
					LabelSelector:     &metav1.LabelSelector{MatchLabels: w.selector()},
				},
			},
		},
	}
}

func probe(path string, period int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: 5,
	}
}

// Flip is a patch of a Deployment's status that makes it available or not, as its controller does when its pods fail.
func Flip(name string, available bool) ([]byte, error) {
	status := DeploymentStatus(1, name, available)
	return json.Marshal(map[string]any{"status": map[string]any{
		// Zeros too: the API server keeps what a patch leaves out.
		"readyReplicas": status.ReadyReplicas, "availableReplicas": status.AvailableReplicas, "unavailableReplicas": status.UnavailableReplicas,
		"conditions": status.Conditions,
	}})
}
