package main

import (
	"context"
	"net/url"

	"github.com/postchi/postchi/mailserver/certs"
)

// openCerts opens the source of all certificates. The ports are those of the listeners http and
// https, 0 = off.
func (b *base) openCerts(ctx context.Context, httpPort, httpsPort int) (*certs.Source, error) {
	c := b.config
	switch c.TLS.Mode {
	case "dev":
		return certs.Dev(c.DataDir, []string{c.Hostname}, nil)
	case "files":
		return certs.Files(c.TLS.Cert, c.TLS.Key, b.log)
	}
	source, err := certs.ACME(certs.ACMEConfig{
		Names: c.certNames(), Directory: c.TLS.ACMEDirectory, Roots: roots(c.TLS.ACMEAuthority), Email: c.TLS.ACMEEmail,
		HTTPPort: httpPort, HTTPSPort: httpsPort, DB: b.db, Sealer: b.secrets, Log: b.log,
	})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() error { source.Close(); return nil })
	source.Load(ctx)
	return source, nil
}

// certNames are the names that certificates are obtained for: the server's, the panel's, and
// more that the configuration lists.
func (c *Config) certNames() []string {
	var names []string
	if c.Hostname != "" {
		names = append(names, c.Hostname)
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	return append(names, c.TLS.Names...)
}
