// Package outbound makes one attempt to hand a message to the servers of one destination.
//
// Send finds the destination's hosts (MX, RFC 5321, section 5.1; null MX, RFC 7505; or a relay),
// connects to one after the other until one takes the message, and says for each recipient what
// became of it: delivered, to be tried again, or failed for good, with the other side's words.
// It keeps no state of messages: trying again is the queue's.
//
// What it does keep, in memory: connections that are idle for a few seconds, to be used again
// for the same destination; and for each address whether it could be reached lately, so that a
// host that hangs costs a few attempts and not one for each of its messages.
//
// Invariants:
//
//   - The wire has only CRLF as line end, lines of dots are stuffed, and the data end once,
//     whatever the message holds.
//   - Everything read is capped, every step has a deadline, the body a minimum rate.
//   - Nothing read in clear is used after TLS begins.
//   - Where a policy demands verified TLS nothing is sent without.
//   - After the end of the data was sent no other host is tried: who has the message is not known.
package outbound

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Resolver is what is asked of the DNS; errors are *net.DNSError.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// Route is how mail leaves. The zero value goes to the destination's own hosts from any address.
type Route struct {
	Relay  *Relay     // nil = the destination's own hosts
	Source netip.Addr // address of ours that connections come from; invalid = any
}

// Relay is a host that takes mail for every destination (smarthost).
type Relay struct {
	Host     string
	Port     int
	Security Security
	Username string // "" = without log-in
	Password string
	Inside   bool // may have a private address: who runs this server has named it
}

// account names who is logged in there, password included: a connection carries mail of nobody who
// does not know it.
func (r *Relay) account() string {
	return fmt.Sprintf("%q %x", r.Username, sha256.Sum256([]byte(r.Password)))
}

// Security says how a relay is spoken to.
type Security string

// The ways to speak to a relay. With TLS its certificate must hold for its name.
const (
	SecurityTLS      Security = "tls"      // from the first byte
	SecurityStartTLS Security = "starttls" // required
	SecurityNone     Security = "none"     // in clear; no log-in, but at a models.InnerHost
)

// Policies says what a destination demands of TLS. Errors are temporary.
type Policies interface {
	Policy(ctx context.Context, domain string) (Policy, error)
}

// Policy is what a destination demands. The zero value is opportunistic TLS (RFC 7435). DANE
// (RFC 7672) would be another source of policies, by host; MTA-STS (RFC 8461) is one by domain.
type Policy struct {
	Name    string                 // in the text of results: "mta-sts"
	Enforce bool                   // without verified TLS nothing is sent
	Allows  func(host string) bool // hosts that may be used; nil = all
}

// Timeouts bound each step. Zero values mean the defaults, which are shorter than those of RFC
// 5321, section 4.5.3.2, where a worker would wait for nothing.
type Timeouts struct {
	Connect  time.Duration // TCP; default 20 s
	Greeting time.Duration // default 60 s
	Command  time.Duration // EHLO, MAIL, RCPT, a TLS handshake; default 2 min
	Data     time.Duration // for the 354; default 2 min
	Block    time.Duration // for the other side to take 64 KiB of the body; default 2 min
	Final    time.Duration // for the answer after the end of the data; default 10 min
	Quit     time.Duration // default 2 s
	Idle     time.Duration // how long a connection waits for another message; default 5 s
	DNS      time.Duration // all look-ups of one attempt; default 30 s
}

// Config is what a Client needs. Resolver and Hostname are required.
type Config struct {
	Resolver Resolver
	Policies Policies // nil = always opportunistic
	Hostname string   // of this server, in EHLO; a destination whose host has this name is a loop
	Names    []string // other names of this server, lower case
	Port     int      // of other servers; 0 = 25
	Private  bool     // connections to private, loopback and link-local addresses are allowed
	Own      []netip.AddrPort
	Roots    *x509.CertPool // authorities of verified TLS; nil = the system's

	PerHost int   // connections to one address at once; 0 = 20
	Reuse   int   // messages over one connection; 0 = 100
	MinRate int64 // bytes a second at which the body must be taken; 0 = 2048

	Timeouts Timeouts
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = none
}

// Client sends. Safe for concurrent use.
type Client struct {
	config  Config
	log     *slog.Logger
	health  *health
	pool    *pool
	leaving sync.WaitGroup // sessions that say QUIT

	opportunistic, verified *tls.Config
}

// New returns a Client; Close ends its idle connections.
func New(c Config) *Client {
	if c.Port == 0 {
		c.Port = 25
	}
	if c.PerHost <= 0 {
		c.PerHost = 20
	}
	if c.Reuse <= 0 {
		c.Reuse = 100
	}
	if c.MinRate <= 0 {
		c.MinRate = 2048
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Hostname = strings.ToLower(c.Hostname)
	c.Timeouts = c.Timeouts.withDefaults()
	client := &Client{config: c, log: c.Log, health: newHealth(c.PerHost, c.Now), pool: newPool(c.Timeouts.Idle)}
	client.opportunistic, client.verified = tlsConfigs(c.Roots)
	return client
}

// Close ends idle connections; those at work end with their attempt.
func (c *Client) Close() {
	c.pool.close()
	c.leaving.Wait()
}

// Free reports whether one of some addresses has room for a connection, so that an attempt is
// worth its while that was busy before.
func (c *Client) Free(addrs []netip.Addr) bool {
	for _, addr := range addrs {
		if c.health.free(addr) || c.pool.at(addr) {
			return true
		}
	}
	return len(addrs) == 0
}

// Forget lets addresses be tried again that could not be reached lately.
func (c *Client) Forget() { c.health.forget() }

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&t.Connect, 20 * time.Second}, {&t.Greeting, time.Minute}, {&t.Command, 2 * time.Minute}, {&t.Data, 2 * time.Minute},
		{&t.Block, 2 * time.Minute}, {&t.Final, 10 * time.Minute}, {&t.Quit, 2 * time.Second}, {&t.Idle, 5 * time.Second}, {&t.DNS, 30 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	return t
}

// Message is what is to be sent to recipients of one domain.
type Message struct {
	Domain     string // of all recipients, A-label
	Route      Route  // how it leaves
	Sender     string // as in MAIL, without brackets; "" = <>
	Ret, EnvID string // RFC 3461; passed on if the other side offers DSN
	Recipients []Recipient

	Prefix []byte      // sent before the body: header fields, lines end in CRLF
	Body   io.ReaderAt // the rest of the message
	Size   int64       // bytes of Body

	// Hold is asked directly before the end of the data: an error gives the attempt up, and the
	// other side has nothing. nil = go on.
	Hold func() error
}

// Recipient is one recipient of a Message.
type Recipient struct {
	Address  string // as in RCPT, without brackets
	Original string // ORCPT of RFC 3461, xtext decoded: "rfc822;..."
	Notify   string // NOTIFY of RFC 3461
}

// Status is what became of a recipient.
type Status int

// The statuses. Deferred is the zero value: what nobody settled is tried again.
const (
	Deferred Status = iota
	Delivered
	Failed
)

// String returns the status as logs have it.
func (s Status) String() string { return [...]string{"deferred", "delivered", "failed"}[s] }

// Result is what became of one recipient.
type Result struct {
	Status   Status
	Code     int    // of the reply; 0 = there was none
	Enhanced string // of the reply, else ours that fits
	Text     string // the reply's text, lines joined, at most maxText bytes; or ours
	Reason   string // in short, to group by: "550 5.1.1", "connect", "dns", ...
	Host     string // name of the other side; "" = none was reached
	Remote   string // its address
	TLS      string // "TLS1.3 opportunistic", "TLS1.3 mta-sts", "clear", "clear, TLS failed" ...; "" = nothing was said yet
	DSN      bool   // the other side has taken over to report (RFC 3461, section 5.2.2)
}

// Attempt is the outcome of Send.
type Attempt struct {
	Results []Result // in the order of Recipients

	// Unreached says that no host of the destination, or the relay, came as far as taking a MAIL
	// command: other messages by the same way would fare alike.
	Unreached bool
	// Busy says that nothing was tried, because as many connections to its hosts are open as
	// may be.
	Busy bool
	// BusyAt is the addresses that had no room; see Client.Free.
	BusyAt []netip.Addr
	// Reused says that the message went over a connection that was open already.
	Reused bool
}
