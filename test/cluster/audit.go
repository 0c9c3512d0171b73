package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Requests are those that a user made after a time, as the API server recorded them; those of everybody for "", and all that
// there are for the zero time. The control plane must have been started with --audit.
func (c *Cluster) Requests(user string, since time.Time) ([]auditv1.Event, error) {
	log, err := c.AuditLog()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	var found []auditv1.Event
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		event := auditv1.Event{}
		if !bytes.Contains(scanner.Bytes(), []byte(user)) || json.Unmarshal(scanner.Bytes(), &event) != nil {
			continue // somebody else's, or a line that is being written
		}
		if (user == "" || event.User.Username == user) && event.RequestReceivedTimestamp.After(since) {
			found = append(found, event)
		}
	}
	return found, scanner.Err()
}
