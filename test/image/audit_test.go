package image

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// podName is what the API server tells of a token that is bound to a pod: the pod's name.
const podName = "authentication.kubernetes.io/pod-name"

// audited asserts from the API server's own record that the operator comes with a token that is bound to its pod, and that
// nothing is refused.
func audited(t *testing.T, c *cluster.Cluster) {
	log, err := c.AuditLog()
	must(t, err)
	file, err := os.Open(log)
	must(t, err)
	defer file.Close() //nolint:errcheck // nothing was written
	pods := map[string]int{}
	statuses := 0
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		event := auditv1.Event{}
		if !strings.Contains(scanner.Text(), cluster.User) || json.Unmarshal(scanner.Bytes(), &event) != nil || event.User.Username != cluster.User {
			continue // somebody else, or a line that is being written
		}
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
	must(t, scanner.Err())
	if len(pods) != 2*replicas || statuses == 0 {
		t.Errorf("%d pods asked, want the first and the last two; %d statuses were written", len(pods), statuses)
	}
}
