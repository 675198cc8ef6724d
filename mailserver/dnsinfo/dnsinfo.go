// Package dnsinfo knows the DNS records that a mail domain needs, and looks what is published
// now.
//
// Everything is asked twice: of the domain's authoritative servers, who know what its owner has
// saved, and of one recursive resolver, as the rest of the world asks. Right in the first and
// old in the second is pending; a question that nobody answered is unknown and never missing.
// What is published is compared by meaning: order, spaces, case and split strings do not
// matter, and a record that says what ours says, and more, is right.
package dnsinfo

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/models"
)

// Resolver is what is asked of the DNS. It should keep nothing, or for a moment only: people
// look again right after a change. Errors are those of package resolver.
type Resolver interface {
	Lookup(ctx context.Context, name string, qtype uint16) (*resolver.Answer, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	Exchange(ctx context.Context, server string, m *dns.Msg) (*dns.Msg, error)
}

// Service is one that mail clients find by SRV records (RFC 6186, RFC 8314).
type Service struct {
	Name string // "imaps", "submissions" ...
	Port int    // 0 = not offered
}

// Config is what an Info needs. Hostname and Resolver must be set.
type Config struct {
	Hostname string // of this server, A-label
	Resolver Resolver
	Services func() []Service // nil = none
	// Relay returns the smarthost that mail of a domain leaves by; "" = none. nil = never one.
	Relay    func(ctx context.Context, domain models.ID) string
	Covers   func(host string) bool // whether clients accept the server's certificate for a host; nil = never
	STSMode  string                 // of the MTA-STS policy: "testing" or "enforce"; "" = testing
	CA       string                 // who issues certificates for domains' names, as CAA records have it; "" = nobody knows
	Source   netip.Addr             // that mail leaves from unless its domain has one; invalid = the server's
	KeepKeys time.Duration          // how long records of retiring DKIM keys are needed
	Port     uint16                 // of authoritative servers; 0 = 53
	Private  bool                   // authoritative servers may have private and loopback addresses
	Timeout  time.Duration          // of one look at a domain; 0 = 15 s
	Now      func() time.Time       // nil = time.Now
	Log      *slog.Logger           // nil = none
}

// Info makes and checks records. Safe for concurrent use.
type Info struct{ config Config }

// New returns an Info.
func New(config Config) *Info {
	config.Hostname = strings.ToLower(strings.TrimSuffix(config.Hostname, "."))
	if config.STSMode == "" {
		config.STSMode = "testing"
	}
	if config.Port == 0 {
		config.Port = 53
	}
	if config.Timeout <= 0 {
		config.Timeout = 15 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &Info{config}
}

// proofPrefix begins the text that proves a claim, and proofName is where it stands.
const (
	proofPrefix = "postchi-verify="
	proofName   = "_postchi-challenge"
)

// ProofText returns what a claim's TXT record says.
func ProofText(token string) string { return proofPrefix + token }

func (i *Info) covers(host string) bool { return i.config.Covers != nil && i.config.Covers(host) }

// dkimName is where a selector's record stands, relative to the domain.
func dkimName(selector string) string { return selector + "._domainkey" }

// keyText is the TXT record of a key (RFC 6376, section 3.6.1).
func keyText(k *models.DKIMKey) string {
	return "v=DKIM1; k=" + string(k.Algorithm) + "; p=" + k.Public
}
