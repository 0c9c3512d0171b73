package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Corpus is the folder of real installs, where there is one. PLATFORMPROFILE_CORPUS names another.
func Corpus() (string, bool) {
	folder := os.Getenv("PLATFORMPROFILE_CORPUS")
	if folder == "" {
		folder = filepath.Join(filepath.Dir(Root()), "shared", "corpus")
	}
	_, err := os.Stat(filepath.Join(folder, "EXPECTED.tsv"))
	return folder, err == nil
}

// Fixtures is the folder of the project's own installs.
func Fixtures() string {
	return filepath.Join(Root(), "internal", "catalog", "testdata", "installs")
}

// AuditLog is the file that the API server records requests in, where the control plane was started with --audit.
func (c *Cluster) AuditLog() (string, error) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(c.Kubeconfig), "state.json"))
	if err != nil {
		return "", err
	}
	state := struct {
		AuditLog string `json:"auditLog"`
	}{}
	if err := json.Unmarshal(data, &state); err != nil {
		return "", err
	}
	if state.AuditLog == "" {
		return "", fmt.Errorf("the control plane writes no audit log: start it with --audit")
	}
	return state.AuditLog, nil
}
