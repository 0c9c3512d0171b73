package fill

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// ComponentName is the name of a custom component, and of the namespace that it is installed in.
func ComponentName(i int) string { return fmt.Sprintf("component-%03d", i) }

func componentImage(i int) string { return fmt.Sprintf("platform-team/%s", ComponentName(i)) }

func (f *filler) components(ctx context.Context) error {
	return Each(ctx, f.scale.Components, func(ctx context.Context, i int) error {
		return made("a PlatformComponent", f.Objects.Create(ctx, component(i)))
	})
}

func component(i int) *v1alpha1.PlatformComponent {
	name := ComponentName(i)
	return &v1alpha1.PlatformComponent{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PlatformComponentSpec{
			DisplayName: "Component " + name, Layer: "platform", Homepage: "https://bench.example.com/" + name,
			Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{
				Kinds: []v1alpha1.WorkloadKind{"Deployment"}, Images: []string{componentImage(i)},
			}}},
		},
	}
}
