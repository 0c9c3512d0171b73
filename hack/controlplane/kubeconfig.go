package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// user is an identity that speaks to the API server with a client certificate.
type user struct {
	file   string // base name of its certificate and kubeconfig
	name   string
	groups []string
}

const adminUser = "admin"

// users have a kubeconfig each. Controllers and scheduler carry the names that
// Kubernetes' built-in RBAC rules know. KWOK plays every node at once and acts
// on whatever kind its stages name; it gets all rights under a name of its
// own, so that the audit log tells it from the administrator.
var users = []user{
	{adminUser, "admin", []string{"system:masters"}},
	{controllersName, "system:kube-controller-manager", nil},
	{schedulerName, "system:kube-scheduler", nil},
	{kwokName, "kwok", []string{"system:masters"}},
	{kubeletName, "system:node:" + realNodeName, []string{"system:nodes"}},
}

// kubeconfig renders a kubeconfig with everything embedded, so that the file
// can be copied anywhere on this machine.
func kubeconfig(server, user string, ca, cert, key []byte) string {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: controlplane
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: %s
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: controlplane
  context:
    cluster: controlplane
    user: %s
current-context: controlplane
`, server, encode(ca), user, encode(cert), encode(key), user)
}

// writeKubeconfig writes the kubeconfig of a user of the control plane.
func writeKubeconfig(path, server string, keys pki, u user) error {
	var parts [3][]byte
	for i, file := range []string{keys.cert(clusterCA), keys.cert(u.file), keys.key(u.file)} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parts[i] = data
	}
	name := strings.TrimPrefix(u.name, "system:")
	return writeFileAtomically(path, []byte(kubeconfig(server, name, parts[0], parts[1], parts[2])), 0o600)
}
