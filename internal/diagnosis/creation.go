package diagnosis

import (
	"fmt"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// NewFailedCreate says what it means that no pod of a workload can be made; message is what its controller says of it.
func NewFailedCreate(workload v1alpha1.WorkloadReference, message string) (d v1alpha1.Diagnosis) {
	in := "kubectl -n " + workload.Namespace + " "
	d = v1alpha1.Diagnosis{
		Workload: workload, Symptom: Error, Meaning: "No pod of it can be made: " + shorten(message),
		Commands: []string{
			in + "describe " + strings.ToLower(workload.Kind) + " " + workload.Name,
			in + "get events --field-selector reason=FailedCreate --sort-by=.lastTimestamp",
		},
	}
	defer func() {
		if !areSafeNames(workload.Namespace, workload.Name, strings.ToLower(workload.Kind)) {
			d.Commands = nil
		}
	}()
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "exceeded quota") || strings.Contains(lower, "failed quota"):
		d.LikelyCauses = []string{"a ResourceQuota of the namespace is used up, or asks for requests and limits that the pods do not name: " + shorten(message)}
		d.Commands = append([]string{in + "describe resourcequota"}, d.Commands...)
	case strings.Contains(lower, "podsecurity") || strings.Contains(lower, "pod security"):
		d.LikelyCauses = []string{fmt.Sprintf("the Pod Security level of the namespace %s forbids what the pods ask for", workload.Namespace)}
	case strings.Contains(lower, "serviceaccount") && strings.Contains(lower, "not found"):
		d.LikelyCauses = []string{"the ServiceAccount that the pods run as does not exist"}
	case strings.Contains(lower, "webhook"):
		d.LikelyCauses = []string{"an admission webhook refuses the pods, or does not answer: " + shorten(message)}
	case strings.Contains(lower, "limitrange") || strings.Contains(lower, "maximum ") || strings.Contains(lower, "minimum "):
		d.LikelyCauses = []string{"a LimitRange of the namespace forbids their requests or limits"}
	default:
		d.LikelyCauses = []string{shorten(message)}
	}
	return d
}
