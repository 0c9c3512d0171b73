package measure

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// request is what the benchmark reads of a line of the API server's audit log.
type request struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Name        string `json:"name"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	Received time.Time `json:"requestReceivedTimestamp"`
}

// audit is a place in the audit log, from which requests are read later.
type audit struct {
	file  string
	begin int64
	since time.Time
}

// beginAudit remembers where the audit log ends.
func beginAudit(c *cluster.Cluster) (*audit, error) {
	file, err := c.AuditLog()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	return &audit{file: file, begin: info.Size(), since: time.Now()}, nil
}

// requests are those that the operator made since then.
func (a *audit) requests() ([]request, error) {
	file, err := os.Open(a.file)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(a.begin, io.SeekStart); err != nil {
		return nil, err
	}
	return operatorRequests(file, a.since)
}

func operatorRequests(log io.Reader, since time.Time) ([]request, error) {
	var found []request
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if !bytes.Contains(scanner.Bytes(), []byte(cluster.User)) {
			continue
		}
		r := request{}
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			continue // a line that is being written
		}
		if r.User.Username == cluster.User && r.Received.After(since) {
			found = append(found, r)
		}
	}
	return found, scanner.Err()
}
