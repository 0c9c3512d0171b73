package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The control channel is a unix socket that takes one line per connection,
// "VERB COMPONENT", and answers one line: "ok", perhaps with a text, or
// "error" with a reason. It answers when the command is done.

// controlTimeout bounds a command; starting the API server is the longest.
const controlTimeout = time.Minute

// maxSocketPath is what fits into a unix socket address everywhere.
const maxSocketPath = 100

type controlServer struct {
	path     string
	listener net.Listener
	handle   func(line string) (string, error)
	cleanup  func()
}

// listenControl opens the socket in dir, or in a directory of its own where
// that path is too long for a socket; state.json tells which.
func listenControl(dir string, handle func(string) (string, error)) (*controlServer, error) {
	path := filepath.Join(dir, "control.sock")
	cleanup := func() {}
	if len(path) > maxSocketPath {
		short, err := os.MkdirTemp("", "controlplane-")
		if err != nil {
			return nil, err
		}
		path = filepath.Join(short, "control.sock")
		cleanup = func() { os.RemoveAll(short) }
	}
	// A runner that was killed leaves its socket. The lock on the directory
	// says that nobody uses it any more.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		cleanup()
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		cleanup()
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		cleanup()
		return nil, err
	}
	return &controlServer{path: path, listener: listener, handle: handle, cleanup: cleanup}, nil
}

func (s *controlServer) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		go s.answer(conn)
	}
}

func (s *controlServer) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	text, err := s.handle(strings.TrimSpace(line))
	if err != nil {
		fmt.Fprintf(conn, "error %s\n", strings.ReplaceAll(err.Error(), "\n", " | "))
		return
	}
	fmt.Fprintln(conn, strings.TrimSpace("ok "+text))
}

func (s *controlServer) close() {
	s.listener.Close()
	s.cleanup()
}

// sendControl sends a line to a runner and returns the text of its answer.
func sendControl(socket, line string) (string, error) {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return "", fmt.Errorf("control plane does not answer: %w", err)
	}
	defer conn.Close()
	// Longer than the runner's own limit, so that its answer arrives.
	if err := conn.SetDeadline(time.Now().Add(controlTimeout + 15*time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("control plane ended before it answered: %w", err)
	}
	word, text, _ := strings.Cut(strings.TrimSpace(answer), " ")
	if word != "ok" {
		return "", errors.New(text)
	}
	return text, nil
}
