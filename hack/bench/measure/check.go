package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/hack/bench/fill"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// OneShot is a one-shot check, and the floor under it.
type OneShot struct {
	Check, Floor Run
	// Checked is the profile as the check filled it in.
	Checked *v1alpha1.PlatformProfile
}

// CheckOnce runs the one-shot check on the first profile, and lists what it must read, each some times. Both are processes
// of their own, and are timed from start to end.
func CheckOnce(ctx context.Context, c *cluster.Cluster, program, self string, runs int) (OneShot, error) {
	profile := &v1alpha1.PlatformProfile{}
	if err := c.Client.Get(ctx, client.ObjectKey{Name: fill.ProfileName(0)}, profile); err != nil {
		return OneShot{}, err
	}
	wanted := map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "PlatformProfile",
		"metadata":   map[string]any{"name": profile.Name},
		"spec":       profile.Spec,
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		return OneShot{}, err
	}
	file := filepath.Join(c.Dir, "profile.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return OneShot{}, err
	}
	shot := OneShot{}
	// 0 is conformant, 1 is not, 2 could not be told: the answer does not matter for the time.
	if shot.Check, err = median(runs, func() (Run, error) {
		return run(ctx, c.Dir, nil, []int{0, 1, 2}, program, "check", "-f", file, "-o", "json", "--kubeconfig", c.Kubeconfig)
	}); err != nil {
		return shot, err
	}
	shot.Checked = &v1alpha1.PlatformProfile{}
	if err := json.Unmarshal(shot.Check.Stdout, shot.Checked); err != nil {
		return shot, fmt.Errorf("the check printed no profile: %w: %s", err, shot.Check.Stderr)
	}
	shot.Floor, err = median(runs, func() (Run, error) {
		return run(ctx, c.Dir, nil, nil, self, "floor", c.Kubeconfig, file)
	})
	return shot, err
}
