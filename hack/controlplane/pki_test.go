package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestPKI(t *testing.T) {
	p := pki{dir: filepath.Join(t.TempDir(), "pki")}
	if err := p.prepare(); err != nil {
		t.Fatal(err)
	}
	certificate := func(name string) *x509.Certificate {
		t.Helper()
		der, err := readPEM(p.cert(name))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	verify := func(name, ca string, usage x509.ExtKeyUsage, dnsName string) error {
		roots := x509.NewCertPool()
		roots.AddCert(certificate(ca))
		_, err := certificate(name).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}, DNSName: dnsName})
		return err
	}
	for _, name := range []string{"127.0.0.1", kubernetesServiceIP, "kubernetes.default.svc"} {
		if err := verify("apiserver", clusterCA, x509.ExtKeyUsageServerAuth, name); err != nil {
			t.Errorf("API server as %s: %v", name, err)
		}
	}
	if err := verify(adminUser, clusterCA, x509.ExtKeyUsageClientAuth, ""); err != nil {
		t.Errorf("administrator: %v", err)
	}
	if err := verify(adminUser, clusterCA, x509.ExtKeyUsageServerAuth, ""); err == nil {
		t.Error("the administrator's certificate can serve")
	}
	// Whoever holds a front proxy certificate can be anybody, and whoever
	// holds one of etcd's can read everything.
	for _, ca := range []string{frontProxyCA, etcdCA} {
		if err := verify(adminUser, ca, x509.ExtKeyUsageClientAuth, ""); err == nil {
			t.Errorf("%s accepts the administrator's certificate", ca)
		}
	}
	if groups := certificate(adminUser).Subject.Organization; len(groups) != 1 || groups[0] != "system:masters" {
		t.Errorf("administrator's groups = %q", groups)
	}

	keys, err := filepath.Glob(filepath.Join(p.dir, "*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys: %q, %v", keys, err)
	}
	for _, key := range keys {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v (%v), want 0600", key, info.Mode(), err)
		}
	}

	// What issued tokens and certificates depend on stays.
	kept := map[string][]byte{}
	for _, path := range []string{p.cert(clusterCA), p.key("sa"), p.cert(frontProxyCA)} {
		if kept[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.prepare(); err != nil {
		t.Fatal(err)
	}
	for path, before := range kept {
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s changed in the second run (%v)", path, err)
		}
	}
}
