package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// state is what a running control plane tells about itself, in DIR/state.json.
// Tests read it to find the kubeconfig, the ports and the processes.
type state struct {
	Dir string `json:"dir"`
	// PID and PIDStart identify the runner; the id alone may by now belong to
	// another process.
	PID      int       `json:"pid"`
	PIDStart string    `json:"pidStart"`
	Phase    string    `json:"phase"`
	Started  time.Time `json:"started"`
	// ReadySeconds is how long the start took.
	ReadySeconds float64                   `json:"readySeconds,omitempty"`
	Server       string                    `json:"server"`
	Kubeconfig   string                    `json:"kubeconfig"`
	CAFile       string                    `json:"caFile"`
	Kubectl      string                    `json:"kubectl,omitempty"`
	AuditLog     string                    `json:"auditLog,omitempty"`
	Socket       string                    `json:"socket"`
	Nodes        int                       `json:"nodes"`
	Versions     map[string]string         `json:"versions"`
	Components   map[string]componentState `json:"components"`
}

const (
	phaseStarting = "starting"
	phaseReady    = "ready"
	phaseStopped  = "stopped"
)

type componentState struct {
	PID   int    `json:"pid"`
	Port  int    `json:"port,omitempty"`
	Log   string `json:"log"`
	State string `json:"state"` // running, paused or stopped
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// lockPath is a file that the runner keeps locked while it lives.
func lockPath(dir string) string { return filepath.Join(dir, "controlplane.lock") }

func readState(dir string) (state, error) {
	var st state
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("no control plane in %s", dir)
	}
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	return st, nil
}

func (st state) write() error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomically(statePath(st.Dir), append(data, '\n'), 0o600)
}

// alive tells whether the runner that wrote the state is still there.
func (st state) alive() bool {
	if st.PID <= 0 || st.PIDStart == "" {
		return false
	}
	start, err := processStart(st.PID)
	return err == nil && start == st.PIDStart
}

// locked tells whether a runner, in whatever phase, owns the directory.
func locked(dir string) (bool, error) {
	if _, err := os.Stat(lockPath(dir)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	unlock, err := tryLock(lockPath(dir))
	if errors.Is(err, errLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	unlock()
	return false, nil
}
