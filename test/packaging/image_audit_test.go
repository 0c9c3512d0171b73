package packaging

import (
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// podName is the key of the pod's name in the user info of a token that is bound to a pod.
const podName = "authentication.kubernetes.io/pod-name"

// assertAudit asserts from the API server's own record that the operator comes with a token that is bound to its pod, and that
// nothing is refused.
func assertAudit(t *testing.T, c *cluster.Cluster) {
	requests, err := c.Requests(cluster.User, time.Time{})
	cluster.Must(t, err)
	pods := map[string]int{}
	statuses := 0
	for _, event := range requests {
		name := strings.Join(event.User.Extra[podName], " ")
		if name == "" {
			t.Errorf("%s %s came with a token of no pod", event.Verb, event.RequestURI)
		}
		pods[name]++
		if event.ResponseStatus != nil && (event.ResponseStatus.Code == 401 || event.ResponseStatus.Code == 403) {
			t.Errorf("%s %s was refused: %s", event.Verb, event.RequestURI, event.ResponseStatus.Message)
		}
		if event.Verb == "patch" && event.ObjectRef.Resource == "platformprofiles" && event.ObjectRef.Subresource == "status" {
			statuses++
		}
	}
	if len(pods) != 2*replicas || statuses == 0 {
		t.Errorf("%d pods asked, want the first and the last two; %d statuses were written", len(pods), statuses)
	}
}
