package verify

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
)

const (
	// minRSA and maxRSA are the sizes of RSA keys, in bits, that count. RFC 8301, section 3.2:
	// 1024 to 4096 must be verified, below 1024 nothing is; above 8192 it only costs time.
	minRSA, maxRSA = 1024, 8192
	// maxKeys is the number of records at one name that are tried. RFC 6376, section 3.6.2.2,
	// leaves more than one undefined; during a change of keys some publish two.
	maxKeys = 3
	// maxLookups is the number of look-ups of keys that go on at once for one message.
	maxLookups = 8
)

// publicKey is a key record of RFC 6376, section 3.6.1.
type publicKey struct {
	key     crypto.PublicKey
	algo    string // k=: rsa or ed25519
	strict  bool   // t=s: the domain of i= must be d= itself
	testing bool   // t=y
}

// parseKey reads a key record. The error is for Authentication-Results.
func parseKey(text string) (*publicKey, error) {
	tags, err := parseTags(text)
	if err != nil {
		return nil, errors.New("malformed key record")
	}
	if tags.has("v") && (tags.names[0] != "v" || tags.get("v") != "DKIM1") {
		return nil, errors.New("key record of another version")
	}
	if !tags.has("p") {
		return nil, errors.New("key record without a key")
	}
	if tags.has("h") && !slices.Contains(tags.words("h"), "sha256") {
		return nil, errors.New("key is not for sha256")
	}
	if s := tags.words("s"); tags.has("s") && !slices.Contains(s, "*") && !slices.Contains(s, "email") {
		return nil, errors.New("key is not for mail")
	}
	flags := tags.words("t")
	k := &publicKey{algo: strings.ToLower(tags.or("k", "rsa")), strict: slices.Contains(flags, "s"), testing: slices.Contains(flags, "y")}
	raw, err := tags.base64("p")
	switch {
	case err != nil:
		return nil, errors.New("malformed key")
	case len(raw) == 0:
		return nil, errors.New("key is revoked")
	case k.algo == "rsa":
		k.key, err = parseRSA(raw)
	case k.algo == "ed25519":
		k.key, err = parseEd25519(raw)
	default:
		err = errors.New("key of unknown algorithm")
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// errWeakKey is the one flaw of a key that is our policy and not the signer's mistake.
var errWeakKey = errors.New("RSA key is shorter than 1024 bits")

// parseRSA reads a SubjectPublicKeyInfo, or the bare RSAPublicKey that some publish.
func parseRSA(raw []byte) (crypto.PublicKey, error) {
	var key *rsa.PublicKey
	if any, err := x509.ParsePKIXPublicKey(raw); err == nil {
		key, _ = any.(*rsa.PublicKey)
	} else if bare, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		key = bare
	}
	switch {
	case key == nil:
		return nil, errors.New("malformed key")
	case key.N.BitLen() < minRSA:
		return nil, errWeakKey
	case key.N.BitLen() > maxRSA:
		return nil, errors.New("RSA key is too long")
	}
	return key, nil
}

// parseEd25519 reads the 32 bytes of a key. RFC 8463, section 4.
func parseEd25519(raw []byte) (crypto.PublicKey, error) {
	if len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("malformed key")
	}
	return ed25519.PublicKey(raw), nil
}

// verify reports whether sig is the signature of a SHA-256 digest. RFC 8463, section 3: Ed25519
// signs the digest as if it were the message.
func (k *publicKey) verify(digest, sig []byte) bool {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, sig)
	}
	return false
}

// keyResult is what a name in the DNS has: keys, or a reason why not. A temporary error is in
// temporary alone.
type keyResult struct {
	keys      []*publicKey
	reason    error
	temporary bool
}

// keyName is where the key of a signature is.
func keyName(selector, domain string) string { return selector + "._domainkey." + domain }

// fetchKeys looks up all names, each once, the first ones first.
func (v *Verifier) fetchKeys(ctx context.Context, names []string) map[string]*keyResult {
	results := map[string]*keyResult{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxLookups)
	for _, name := range names {
		if results[name] != nil {
			continue
		}
		r := &keyResult{}
		results[name] = r
		slots <- struct{}{}
		wg.Go(func() {
			*r = v.fetchKey(ctx, name)
			<-slots
		})
	}
	wg.Wait()
	return results
}

func (v *Verifier) fetchKey(ctx context.Context, name string) keyResult {
	texts, err := v.dns.LookupTXT(ctx, name)
	if err != nil && !isNotFound(err) {
		return keyResult{reason: errors.New("DNS look-up of the key failed"), temporary: true}
	}
	r := keyResult{reason: errors.New("no key")}
	for _, text := range texts[:min(len(texts), maxKeys)] {
		k, err := parseKey(text)
		if err != nil {
			r.reason = err
			continue
		}
		r.keys = append(r.keys, k)
	}
	return r
}

// isNotFound tells a name that does not exist, or has nothing of the kind, from one of which
// nothing is known.
func isNotFound(err error) bool {
	var known *net.DNSError
	return errors.As(err, &known) && known.IsNotFound
}
