package rule

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"time"
)

// caBundleExpires is a derived field that only rules see: CEL cannot parse certificates.
const caBundleExpires = "caBundleExpires"

// deriveCABundleExpiry returns when the caBundle in a map expires, as webhooks and APIServices have one. It returns false if there is no
// valid caBundle, or if the map already has a field caBundleExpires.
func deriveCABundleExpiry(parent map[string]any) (any, bool) {
	bundle, ok := parent["caBundle"].(string)
	if _, exists := parent[caBundleExpires]; exists || !ok {
		return nil, false
	}
	expiry, ok := caBundleExpiry(bundle)
	if !ok {
		return nil, false
	}
	return expiry.UTC().Format(time.RFC3339), true
}

// caBundleExpiry returns when the last certificate of a base64-encoded PEM bundle expires. During a rotation the bundle has the old and the
// new certificate, and one valid certificate is enough.
func caBundleExpiry(bundle string) (expiry time.Time, ok bool) {
	rest, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		return time.Time{}, false
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return expiry, ok
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && certificate.NotAfter.After(expiry) {
			expiry, ok = certificate.NotAfter, true
		}
	}
}
