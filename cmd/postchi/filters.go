package main

import (
	"log/slog"
	"strings"

	"github.com/postchi/postchi/mailserver/filter"
	"github.com/postchi/postchi/models/address"
)

func (c *Config) checkFilters(bad func(string, ...any)) {
	for _, list := range c.Filters.DNSBL {
		if _, _, ok := parseDNSBL(list); !ok {
			bad("filters.dnsbl: %q is no list (zen.spamhaus.org, zen.spamhaus.org=junk, zen.spamhaus.org=refuse)", list)
		}
	}
	if c.Filters.Rspamd != "" {
		if _, err := filter.NewRspamd(c.Filters.Rspamd); err != nil {
			bad("filters.rspamd: %q is no http or https address (http://127.0.0.1:11333)", c.Filters.Rspamd)
		}
	}
	if c.Filters.DNSBLTimeout <= 0 || c.Filters.RspamdTimeout <= 0 {
		bad("filters.dnsbl_timeout and filters.rspamd_timeout must be above 0")
	}
	if c.Filters.OnFailure != "accept" && c.Filters.OnFailure != "defer" {
		bad("filters.on_failure is %q; it can be \"accept\" or \"defer\"", c.Filters.OnFailure)
	}
}

// parseDNSBL reads one entry of filters.dnsbl: a zone, and what is done with the listed.
func parseDNSBL(s string) (zone string, action filter.Action, ok bool) {
	zone, word, found := strings.Cut(s, "=")
	zone, err := address.NormalizeDomain(zone)
	switch {
	case err != nil, found && word != "junk" && word != "refuse":
		return "", 0, false
	case word == "refuse":
		action = filter.ToRefuse
	}
	return zone, action, true
}

// filterChain makes the filters that the configuration names; nil if it names none.
func (c *Config) filterChain(dns filter.Resolver, log *slog.Logger) (*filter.Chain, error) {
	closed := c.Filters.OnFailure == "defer"
	chain := &filter.Chain{Log: log}
	for _, list := range c.Filters.DNSBL {
		zone, action, _ := parseDNSBL(list) // checked
		d := &filter.DNSBL{Zone: zone, Action: action, Resolver: dns}
		chain.Entries = append(chain.Entries, filter.Entry{Filter: d, Timeout: c.Filters.DNSBLTimeout, Closed: closed})
	}
	if c.Filters.Rspamd != "" {
		r, err := filter.NewRspamd(c.Filters.Rspamd)
		if err != nil {
			return nil, err
		}
		chain.Entries = append(chain.Entries, filter.Entry{Filter: r, Timeout: c.Filters.RspamdTimeout, Closed: closed})
	}
	if len(chain.Entries) == 0 {
		return nil, nil
	}
	return chain, nil
}
