package certs

import "testing"

func TestIssuer(t *testing.T) {
	for directory, want := range map[string]string{
		"": "letsencrypt.org",
		"https://acme-v02.api.letsencrypt.org/directory":         "letsencrypt.org",
		"https://acme-staging-v02.api.letsencrypt.org/directory": "letsencrypt.org",
		"https://acme.zerossl.com/v2/DV90":                       "sectigo.com",
		"https://dv.acme-v02.api.pki.goog/directory":             "pki.goog",
		"https://ca.inside.example/acme/acme/directory":          "",
		"https://api.letsencrypt.org.evil.example/directory":     "",
		"https://notapi.letsencrypt.org/directory":               "",
	} {
		if got := Issuer(directory); got != want {
			t.Errorf("%s: %q, want %q", directory, got, want)
		}
	}
}
