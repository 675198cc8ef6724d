package certs

import (
	"net/url"
	"strings"
)

// issuers are the names by which CAA records (RFC 8659) know the authorities behind well-known
// ACME directories, by the end of the directory's host.
var issuers = map[string]string{
	"api.letsencrypt.org": "letsencrypt.org",
	"acme.zerossl.com":    "sectigo.com", // whose authority ZeroSSL is
	"pki.goog":            "pki.goog",
	"acme.ssl.com":        "ssl.com",
	"acme.digicert.com":   "digicert.com",
	"acme.sectigo.com":    "sectigo.com",
}

// Issuer returns the name of the authority behind an ACME directory as CAA records have it; of
// Let's Encrypt for "", and "" for a directory that is not known here.
func Issuer(directory string) string {
	if directory == "" {
		return "letsencrypt.org"
	}
	u, err := url.Parse(directory)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	for end, issuer := range issuers {
		if host == end || strings.HasSuffix(host, "."+end) {
			return issuer
		}
	}
	return ""
}
