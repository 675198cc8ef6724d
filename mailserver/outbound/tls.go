package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// tlsConfigs makes the two ways to speak TLS; each keeps tickets of its own, so that a session
// that nobody verified is never resumed as one that was.
func tlsConfigs(roots *x509.CertPool) (opportunistic, verified *tls.Config) {
	opportunistic = &tls.Config{
		// RFC 7435: the other way would be clear text, so any certificate and any version is better.
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10,
		ClientSessionCache: tls.NewLRUClientSessionCache(1024),
	}
	verified = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1024)}
	return opportunistic, verified
}

// tlsFor is the configuration for a host.
func (c *Client) tlsFor(host string, verify bool) *tls.Config {
	base := c.opportunistic
	if verify {
		base = c.verified
	}
	config := base.Clone()
	config.ServerName = host
	return config
}

// tlsText is how results name a secured connection.
func tlsText(state tls.ConnectionState, how string) string {
	return strings.Replace(tls.VersionName(state.Version), " ", "", 1) + " " + how
}
