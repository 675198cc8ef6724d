package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/postchi/postchi/mailserver"
	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// OutboundConfig says how mail leaves for other servers.
type OutboundConfig struct {
	Enabled        bool   `toml:"enabled" env:"ENABLED"`
	Private        bool   `toml:"private" env:"PRIVATE"`
	Port           int    `toml:"port" env:"PORT"`
	PolicyPort     int    `toml:"policy_port" env:"POLICY_PORT"`
	Hostname       string `toml:"hostname" env:"HOSTNAME"`
	Source         string `toml:"source" env:"SOURCE"`
	Authority      string `toml:"authority" env:"AUTHORITY"`
	Concurrency    int    `toml:"concurrency" env:"CONCURRENCY"`
	PerDestination int    `toml:"per_destination" env:"PER_DESTINATION"`

	Smarthost         string `toml:"smarthost" env:"SMARTHOST"`
	SmarthostSecurity string `toml:"smarthost_security" env:"SMARTHOST_SECURITY"`
}

// QueueConfig says when what could not be sent is tried again.
type QueueConfig struct {
	Retry          []time.Duration `toml:"retry" env:"RETRY"`
	Lifetime       time.Duration   `toml:"lifetime" env:"LIFETIME"`
	ReportLifetime time.Duration   `toml:"report_lifetime" env:"REPORT_LIFETIME"`
	WarnAfter      time.Duration   `toml:"warn_after" env:"WARN_AFTER"`
}

func outboundDefaults() (OutboundConfig, QueueConfig) {
	return OutboundConfig{Enabled: true, Port: 25, PolicyPort: 443, Concurrency: 300, PerDestination: 10, SmarthostSecurity: "starttls"},
		QueueConfig{
			Retry:    []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour},
			Lifetime: 5 * 24 * time.Hour, ReportLifetime: 24 * time.Hour, WarnAfter: 4 * time.Hour,
		}
}

func (o *OutboundConfig) check(bad func(string, ...any)) {
	for key, port := range map[string]int{"port": o.Port, "policy_port": o.PolicyPort} {
		if port < 1 || port > 65535 {
			bad("outbound.%s is %d; it can be 1 to 65535", key, port)
		}
	}
	if o.Hostname != "" {
		if host, err := address.ParseDomain(o.Hostname); err != nil {
			bad("outbound.hostname %q is no host name", o.Hostname)
		} else {
			o.Hostname = host
		}
	}
	if o.Source != "" {
		if _, err := netip.ParseAddr(o.Source); err != nil {
			bad("outbound.source %q is no address", o.Source)
		}
	}
	if o.Concurrency < 1 || o.Concurrency > 5000 {
		bad("outbound.concurrency is %d; it can be 1 to 5000", o.Concurrency)
	}
	if o.PerDestination < 1 || o.PerDestination > 100 {
		bad("outbound.per_destination is %d; it can be 1 to 100", o.PerDestination)
	}
	if o.Authority != "" && roots(o.Authority) == nil {
		bad("outbound.authority %q cannot be read", o.Authority)
	}
	if relay, err := o.smarthost(); err != nil {
		bad("outbound.smarthost: %v", err)
	} else if relay != nil && relay.Security == outbound.SecurityNone && relay.Username != "" && !models.InnerHost(relay.Host) {
		bad("outbound.smarthost has a password, which outbound.smarthost_security \"none\" would send over the internet in clear; only at a private or loopback address it may")
	}
}

// smarthost reads host:port, with user:password@ in front where the host wants a log-in (both
// percent-encoded); nil if there is none.
func (o *OutboundConfig) smarthost() (*outbound.Relay, error) {
	switch o.SmarthostSecurity {
	case "tls", "starttls", "none":
	default:
		return nil, fmt.Errorf("smarthost_security is %q; it can be \"tls\", \"starttls\" or \"none\"", o.SmarthostSecurity)
	}
	if o.Smarthost == "" {
		return nil, nil
	}
	u, err := url.Parse("smtp://" + o.Smarthost)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("that is no host with a port (mail.example.net:587, or user:password@mail.example.net:587, both percent-encoded)") // never the value: it may hold a password
	}
	port := map[string]int{"tls": 465, "starttls": 587, "none": 25}[o.SmarthostSecurity]
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("the port can be 1 to 65535")
		}
	}
	relay := &outbound.Relay{Host: u.Hostname(), Port: port, Security: outbound.Security(o.SmarthostSecurity), Username: u.User.Username(), Inside: true}
	relay.Password, _ = u.User.Password()
	return relay, nil
}

func (q *QueueConfig) check(bad func(string, ...any)) {
	if len(q.Retry) == 0 {
		bad("queue.retry names no pause")
	}
	for _, d := range q.Retry {
		if d < time.Minute || d > 24*time.Hour {
			bad("queue.retry has %v; a pause can be 1m to 24h", d)
		}
	}
	if q.Lifetime < time.Hour || q.Lifetime > 30*24*time.Hour {
		bad("queue.lifetime is %v; it can be 1h to 720h", q.Lifetime)
	}
	if q.ReportLifetime < time.Hour || q.ReportLifetime > 30*24*time.Hour {
		bad("queue.report_lifetime is %v; it can be 1h to 720h", q.ReportLifetime)
	}
	if q.WarnAfter < 0 {
		bad("queue.warn_after is below 0; 0 is never")
	}
}

func (q *QueueConfig) plan() queue.Plan {
	p := queue.Plan{Retry: q.Retry, Lifetime: q.Lifetime, ReportLifetime: q.ReportLifetime, WarnAfter: q.WarnAfter}
	if p.WarnAfter == 0 {
		p.WarnAfter = -1
	}
	return p
}

// source is the address that mail is sent from; invalid = any of the machine's.
func (o *OutboundConfig) source() netip.Addr {
	ip, _ := netip.ParseAddr(o.Source) // checked
	return ip
}

// relayOf returns the smarthost that mail of a domain leaves by; "" if it goes directly, or if that
// is not known at the moment.
func (b *base) relayOf(ctx context.Context, domain models.ID) string {
	relay, err := b.store.RelayFor(ctx, 0, domain)
	if err == nil {
		return relay.Host
	}
	if o, _ := b.config.Outbound.smarthost(); o != nil && models.Is(err, models.NotFound) {
		return o.Host
	}
	return ""
}

// outboundConfig is what the mail server needs to send; nil if it is not to.
func (s *server) outboundConfig() *mailserver.Outbound {
	c := s.config
	if !c.Outbound.Enabled {
		return nil
	}
	o := &mailserver.Outbound{
		Resolver: s.resolver, Relays: s.store, Unseal: s.secrets.Unseal, Hostname: c.Outbound.Hostname, Port: c.Outbound.Port, PolicyPort: c.Outbound.PolicyPort, Private: c.Outbound.Private,
		Own: ownAddresses(s.bound["mx"]), Concurrency: c.Outbound.Concurrency, PerDestination: c.Outbound.PerDestination, Plan: c.Queue.plan(),
		Alone: s.db.Dialect() == db.SQLite || !c.Blob.Shared,
	}
	if o.Smarthost, _ = c.Outbound.smarthost(); o.Smarthost != nil && o.Smarthost.Security == outbound.SecurityNone { // checked
		s.log.Warn("mail goes to the smarthost in clear", "host", o.Smarthost.Host)
	}
	o.Source = c.Outbound.source()
	if c.Outbound.Authority != "" {
		o.Roots = roots(c.Outbound.Authority)
	}
	return o
}

// machineAddresses are all that the machine has, IPv4 as such.
func machineAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	var own []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own, err
}

// ownAddresses are those at which this server takes mail; a listener on every address stands for
// all the machine has.
func ownAddresses(listeners []net.Listener) (own []netip.AddrPort) {
	for _, ln := range listeners {
		tcp, ok := ln.Addr().(*net.TCPAddr)
		if !ok {
			continue
		}
		at := tcp.AddrPort()
		if !at.Addr().IsUnspecified() {
			own = append(own, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
			continue
		}
		all, _ := machineAddresses() // the host name is known anyway
		for _, ip := range all {
			own = append(own, netip.AddrPortFrom(ip, at.Port()))
		}
	}
	return own
}
