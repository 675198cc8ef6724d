package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/postchi/postchi/models"
)

// Text returns the TXT record of a key (RFC 6376, section 3.6.1), on one line.
func Text(k *models.DKIMKey) string {
	return "v=DKIM1; k=" + string(k.Algorithm) + "; p=" + k.Public
}

// selector names the n-th key of an algorithm in a domain: p1r, p1e, p2r ...
func selector(a models.DKIMAlgorithm, n int) string {
	return "p" + strconv.Itoa(n) + string(a[:1])
}

// number returns the n of a selector that selector made, 0 for another.
func number(s string) int {
	if len(s) < 3 {
		return 0
	}
	n, err := strconv.Atoi(s[1 : len(s)-1])
	if err != nil {
		return 0
	}
	return n
}

// newKey makes a key of a domain; bits is of RSA. It takes 0.1 s or more: not for use in a
// transaction.
func newKey(box Box, k models.DKIMKey, bits int) (models.DKIMKey, error) {
	var private crypto.Signer
	var err error
	switch k.Algorithm {
	case models.DKIMRSA:
		private, err = rsa.GenerateKey(rand.Reader, bits)
	case models.DKIMEd25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("unknown algorithm %q", k.Algorithm)
	}
	if err != nil {
		return k, fmt.Errorf("make DKIM key: %w", err)
	}
	if k.Public, err = publicText(private); err != nil {
		return k, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return k, fmt.Errorf("make DKIM key: %w", err)
	}
	k.State = models.DKIMNext
	k.Sealed, err = box.Seal(der, sealContext(k.ID))
	return k, err
}

// publicText returns the p= tag: for RSA a SubjectPublicKeyInfo, for Ed25519 the 32 bytes alone
// (RFC 8463, section 4.2), in base64.
func publicText(private crypto.Signer) (string, error) {
	switch public := private.Public().(type) {
	case ed25519.PublicKey:
		return base64.StdEncoding.EncodeToString(public), nil
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("public DKIM key: %w", err)
		}
		return base64.StdEncoding.EncodeToString(der), nil
	}
}

// openKey returns the private part of a key.
func openKey(box Box, k *models.DKIMKey) (crypto.Signer, error) {
	der, err := box.Unseal(k.Sealed, sealContext(k.ID))
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", k.ID, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("DKIM key %s cannot sign", k.ID)
	}
	return signer, nil
}
