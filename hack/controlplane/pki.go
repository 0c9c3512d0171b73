package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is the directory with the keys and certificates of one control plane.
// There are three authorities, as in a production cluster: one for the
// cluster, one for etcd, and one for the front proxy, whose certificates let
// their holder speak for any user and must therefore not be the cluster's.
//
// All keys are ECDSA: making an RSA key takes up to a second of the start.
type pki struct {
	dir string
}

const (
	clusterCA    = "ca"
	etcdCA       = "etcd-ca"
	frontProxyCA = "front-proxy-ca"
)

func (p pki) cert(name string) string { return filepath.Join(p.dir, name+".crt") }
func (p pki) key(name string) string  { return filepath.Join(p.dir, name+".key") }

// authority is a certificate authority that can sign.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// leaf describes a certificate to make.
type leaf struct {
	name     string // of its files
	ca       string
	user     string
	groups   []string
	server   bool
	client   bool
	dnsNames []string
	ips      []net.IP
}

// prepare makes what is missing. Authorities and the service account key stay
// from one run to the next, for the data in etcd depends on them: tokens and
// issued certificates stay valid. The other certificates are made anew.
func (p pki) prepare() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	authorities := map[string]*authority{}
	for _, name := range []string{clusterCA, etcdCA, frontProxyCA} {
		ca, err := p.authority(name)
		if err != nil {
			return fmt.Errorf("authority %s: %w", name, err)
		}
		authorities[name] = ca
	}
	if err := p.serviceAccountKey(); err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	leaves := []leaf{
		{name: "etcd", ca: etcdCA, user: "etcd", server: true, client: true,
			dnsNames: []string{"localhost"}, ips: loopback},
		{name: "apiserver-etcd-client", ca: etcdCA, user: "kube-apiserver", client: true},
		{name: "apiserver", ca: clusterCA, user: "kube-apiserver", server: true,
			dnsNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local"},
			ips: append(loopback, net.ParseIP(kubernetesServiceIP))},
		// One serving certificate does for both: it only says "this machine".
		{name: "localhost", ca: clusterCA, user: "localhost", server: true,
			dnsNames: []string{"localhost"}, ips: loopback},
		{name: "front-proxy-client", ca: frontProxyCA, user: "front-proxy-client", client: true},
	}
	for _, u := range users {
		leaves = append(leaves, leaf{name: u.file, ca: clusterCA, user: u.name, groups: u.groups, client: true})
	}
	for _, l := range leaves {
		if err := p.issue(authorities[l.ca], l); err != nil {
			return fmt.Errorf("certificate %s: %w", l.name, err)
		}
	}
	return nil
}

func (p pki) authority(name string) (*authority, error) {
	if ca, err := p.load(name); !errors.Is(err, fs.ErrNotExist) {
		return ca, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := p.write(name, der, key); err != nil {
		return nil, err
	}
	return p.load(name)
}

func (p pki) load(name string) (*authority, error) {
	keyDER, err := readPEM(p.key(name))
	if err != nil {
		return nil, err
	}
	certDER, err := readPEM(p.cert(name))
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

func (p pki) issue(ca *authority, l leaf) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: l.user, Organization: l.groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		DNSNames:     l.dnsNames,
		IPAddresses:  l.ips,
	}
	if l.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if l.client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	return p.write(l.name, der, key)
}

// serviceAccountKey makes the pair that service account tokens are signed and
// checked with.
func (p pki) serviceAccountKey() error {
	if _, err := os.Stat(p.key("sa")); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(p.dir, "sa.pub"), "PUBLIC KEY", public, 0o644); err != nil {
		return err
	}
	return writeKey(p.key("sa"), key)
}

// write stores the key before the certificate, so that a certificate on disk
// always has its key.
func (p pki) write(name string, certDER []byte, key *ecdsa.PrivateKey) error {
	if err := writeKey(p.key(name), key); err != nil {
		return err
	}
	return writePEM(p.cert(name), "CERTIFICATE", certDER, 0o644)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return writeFileAtomically(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
