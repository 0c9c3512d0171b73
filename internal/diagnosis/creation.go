package diagnosis

import (
	"fmt"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// NewFailedCreate returns the diagnosis of a workload whose controller cannot create pods; message is the error of the controller.
func NewFailedCreate(workload v1alpha1.WorkloadReference, message string) v1alpha1.Diagnosis {
	kubectl := "kubectl -n " + workload.Namespace + " "
	kind := strings.ToLower(workload.Kind)
	d := v1alpha1.Diagnosis{
		Workload: workload, Symptom: Error, Meaning: "The controller cannot create pods: " + shorten(message),
		Commands: []string{
			kubectl + "describe " + kind + " " + workload.Name,
			kubectl + "get events --field-selector reason=FailedCreate --sort-by=.lastTimestamp",
		},
	}
	lower := strings.ToLower(message)
	switch {
	case containsAny(lower, "exceeded quota", "failed quota"):
		d.LikelyCauses = []string{
			"a ResourceQuota of the namespace is exceeded, or requires requests and limits that the pods do not set: " + shorten(message),
		}
		d.Commands = append([]string{kubectl + "describe resourcequota"}, d.Commands...)
	case containsAny(lower, "podsecurity", "pod security"):
		d.LikelyCauses = []string{fmt.Sprintf("the Pod Security level of the namespace %s forbids the pods", workload.Namespace)}
	case strings.Contains(lower, "serviceaccount") && strings.Contains(lower, "not found"):
		d.LikelyCauses = []string{"the ServiceAccount of the pods does not exist"}
	case strings.Contains(lower, "webhook"):
		d.LikelyCauses = []string{"an admission webhook denies the pods or does not respond: " + shorten(message)}
	case containsAny(lower, "limitrange", "maximum ", "minimum "):
		d.LikelyCauses = []string{"a LimitRange of the namespace forbids the requests or limits of the pods"}
	default:
		d.LikelyCauses = []string{shorten(message)}
	}
	if !areSafeNames(workload.Namespace, workload.Name, kind) {
		d.Commands = nil
	}
	return d
}
