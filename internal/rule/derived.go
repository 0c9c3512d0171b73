package rule

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"time"
)

// caBundleExpires is a field that objects have for rules, and for nobody else: CEL cannot look into a certificate.
const caBundleExpires = "caBundleExpires"

// deriveField says when the certificates of a caBundle expire, as webhooks and APIServices have one; false for a map that has
// none, none that can be read, or a field of that name of its own.
func deriveField(of map[string]any) (any, bool) {
	bundle, ok := of["caBundle"].(string)
	if _, taken := of[caBundleExpires]; taken || !ok {
		return nil, false
	}
	until, ok := bundleExpiry(bundle)
	if !ok {
		return nil, false
	}
	return until.UTC().Format(time.RFC3339), true
}

// bundleExpiry is when the last certificate of a bundle expires, which is base64 of PEM. While an authority is renewed the old
// certificate stands beside the new one, and either is enough.
func bundleExpiry(bundle string) (until time.Time, ok bool) {
	rest, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		return time.Time{}, false
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return until, ok
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && certificate.NotAfter.After(until) {
			until, ok = certificate.NotAfter, true
		}
	}
}
