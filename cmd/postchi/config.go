package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/caarlos0/env/v11"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// defaultConfigFile is read when --config names no other; it need not exist.
const defaultConfigFile = "/etc/postchi/postchi.toml"

// Config is the whole configuration: a TOML file, over which the environment wins. Every key
// is in docs/configuration.md with its default and unit; a test compares the two.
type Config struct {
	Hostname       string   `toml:"hostname" env:"HOSTNAME"`
	DataDir        string   `toml:"data_dir" env:"DATA_DIR"`
	PublicURL      string   `toml:"public_url" env:"PUBLIC_URL"`
	TrustedProxies []string `toml:"trusted_proxies" env:"TRUSTED_PROXIES"`
	User           string   `toml:"user" env:"USER"`

	Database struct {
		URL string `toml:"url" env:"URL"`
	} `toml:"database" envPrefix:"DATABASE_"`

	Listen Listen `toml:"listen" envPrefix:"LISTEN_"`

	TLS struct {
		Mode string `toml:"mode" env:"MODE"`
		Cert string `toml:"cert" env:"CERT"`
		Key  string `toml:"key" env:"KEY"`

		Authority string `toml:"authority" env:"AUTHORITY"`

		Names         []string `toml:"names" env:"NAMES"`
		ACMEDirectory string   `toml:"acme_directory" env:"ACME_DIRECTORY"`
		ACMEAuthority string   `toml:"acme_authority" env:"ACME_AUTHORITY"`
		ACMEEmail     string   `toml:"acme_email" env:"ACME_EMAIL"`
	} `toml:"tls" envPrefix:"TLS_"`

	Secrets struct {
		KeyFile string `toml:"key_file" env:"KEY_FILE"`
	} `toml:"secrets" envPrefix:"SECRETS_"`

	Log struct {
		Level  string `toml:"level" env:"LEVEL"`
		Format string `toml:"format" env:"FORMAT"`
	} `toml:"log" envPrefix:"LOG_"`

	Blob struct {
		Driver      string `toml:"driver" env:"DRIVER"`
		Shared      bool   `toml:"shared" env:"SHARED"`
		SegmentSize Size   `toml:"segment_size" env:"SEGMENT_SIZE"`
		MinFree     Size   `toml:"min_free" env:"MIN_FREE"`
	} `toml:"blob" envPrefix:"BLOB_"`

	Auth struct {
		BcryptCost  int `toml:"bcrypt_cost" env:"BCRYPT_COST"`
		MinPassword int `toml:"min_password" env:"MIN_PASSWORD"`
		Workers     int `toml:"workers" env:"WORKERS"`
	} `toml:"auth" envPrefix:"AUTH_"`

	SMTP struct {
		MaxMessage        Size `toml:"max_message" env:"MAX_MESSAGE"`
		MaxRecipients     int  `toml:"max_recipients" env:"MAX_RECIPIENTS"`
		ShowClientAddress bool `toml:"show_client_address" env:"SHOW_CLIENT_ADDRESS"`

		Verify    bool          `toml:"verify" env:"VERIFY"`
		FullGrace time.Duration `toml:"full_grace" env:"FULL_GRACE"`
	} `toml:"smtp" envPrefix:"SMTP_"`

	Limits struct {
		NetworkConnections int           `toml:"network_connections" env:"NETWORK_CONNECTIONS"`
		MailboxSessions    int           `toml:"mailbox_sessions" env:"MAILBOX_SESSIONS"`
		NetworkSessions    int           `toml:"network_sessions" env:"NETWORK_SESSIONS"`
		Idle               time.Duration `toml:"idle" env:"IDLE"`
		LoginIdle          time.Duration `toml:"login_idle" env:"LOGIN_IDLE"`
		MinRate            int64         `toml:"min_rate" env:"MIN_RATE"`
		MinRateOver        time.Duration `toml:"min_rate_over" env:"MIN_RATE_OVER"`

		MailboxHour int64 `toml:"mailbox_hour" env:"MAILBOX_HOUR"`
		MailboxDay  int64 `toml:"mailbox_day" env:"MAILBOX_DAY"`
		DomainHour  int64 `toml:"domain_hour" env:"DOMAIN_HOUR"`
		DomainDay   int64 `toml:"domain_day" env:"DOMAIN_DAY"`
	} `toml:"limits" envPrefix:"LIMITS_"`

	Defaults struct {
		Quota Size `toml:"quota" env:"QUOTA"`
	} `toml:"defaults" envPrefix:"DEFAULTS_"`

	Domains struct {
		Proof  string `toml:"proof" env:"PROOF"`
		MTASTS string `toml:"mta_sts" env:"MTA_STS"`
	} `toml:"domains" envPrefix:"DOMAINS_"`

	DNS struct {
		Resolver string `toml:"resolver" env:"RESOLVER"`
		Checks   bool   `toml:"checks" env:"CHECKS"`
	} `toml:"dns" envPrefix:"DNS_"`

	DKIM struct {
		Renew time.Duration `toml:"renew" env:"RENEW"`
	} `toml:"dkim" envPrefix:"DKIM_"`

	Filters struct {
		DNSBL         []string      `toml:"dnsbl" env:"DNSBL"`
		DNSBLTimeout  time.Duration `toml:"dnsbl_timeout" env:"DNSBL_TIMEOUT"`
		Rspamd        string        `toml:"rspamd" env:"RSPAMD"`
		RspamdTimeout time.Duration `toml:"rspamd_timeout" env:"RSPAMD_TIMEOUT"`
		OnFailure     string        `toml:"on_failure" env:"ON_FAILURE"`
	} `toml:"filters" envPrefix:"FILTERS_"`

	Outbound OutboundConfig `toml:"outbound" envPrefix:"OUTBOUND_"`
	Queue    QueueConfig    `toml:"queue" envPrefix:"QUEUE_"`

	Keep struct {
		Bin    time.Duration `toml:"bin" env:"BIN"`
		Events time.Duration `toml:"events" env:"EVENTS"`
		Logins time.Duration `toml:"logins" env:"LOGINS"`
	} `toml:"keep" envPrefix:"KEEP_"`

	// Dev is --dev, not a key.
	Dev bool `toml:"-"`
}

// Listen is where each service listens; an empty list is off.
type Listen struct {
	MX          Addrs `toml:"mx" env:"MX"`
	Submission  Addrs `toml:"submission" env:"SUBMISSION"`
	Submissions Addrs `toml:"submissions" env:"SUBMISSIONS"`
	IMAP        Addrs `toml:"imap" env:"IMAP"`
	IMAPS       Addrs `toml:"imaps" env:"IMAPS"`
	POP3        Addrs `toml:"pop3" env:"POP3"`
	POP3S       Addrs `toml:"pop3s" env:"POP3S"`
	HTTP        Addrs `toml:"http" env:"HTTP"`
	HTTPS       Addrs `toml:"https" env:"HTTPS"`
	Metrics     Addrs `toml:"metrics" env:"METRICS"`
}

// defaults are what a key has that neither file nor environment sets.
func defaults() *Config {
	c := &Config{DataDir: "/var/lib/postchi", User: "postchi"}
	c.Database.URL = "sqlite"
	c.Listen = Listen{
		MX: Addrs{":25"}, Submission: Addrs{":587"}, Submissions: Addrs{":465"}, IMAP: Addrs{":143"}, IMAPS: Addrs{":993"}, POP3: Addrs{":110"}, POP3S: Addrs{":995"},
		HTTP: Addrs{":80"}, HTTPS: Addrs{":443"}, Metrics: Addrs{"127.0.0.1:9090"},
	}
	c.TLS.Mode = "files"
	c.Log.Level, c.Log.Format = "info", "text"
	c.Blob.Driver, c.Blob.SegmentSize, c.Blob.MinFree = "seg", 256<<20, 64<<20
	c.Auth.BcryptCost, c.Auth.MinPassword = 10, 12
	c.SMTP.MaxMessage, c.SMTP.MaxRecipients = 50<<20, 1000
	c.SMTP.Verify, c.SMTP.FullGrace = true, 3*24*time.Hour
	c.Limits.NetworkConnections, c.Limits.MailboxSessions, c.Limits.NetworkSessions = 50, 50, 1000
	c.Limits.Idle, c.Limits.LoginIdle = 5*time.Minute, time.Minute
	c.Limits.MinRate, c.Limits.MinRateOver = 500, 30*time.Second
	c.Limits.MailboxHour, c.Limits.MailboxDay, c.Limits.DomainHour, c.Limits.DomainDay = 300, 2_000, 3_000, 20_000
	c.Defaults.Quota = 1 << 30
	c.Domains.Proof, c.Domains.MTASTS = "required", "testing"
	c.DKIM.Renew = 365 * 24 * time.Hour
	c.Filters.DNSBLTimeout, c.Filters.RspamdTimeout, c.Filters.OnFailure = 5*time.Second, 20*time.Second, "accept"
	c.Outbound, c.Queue = outboundDefaults()
	c.DNS.Checks = true
	c.Keep.Bin, c.Keep.Events, c.Keep.Logins = 30*24*time.Hour, 30*24*time.Hour, 90*24*time.Hour
	return c
}

// dev changes the defaults to those of --dev: everything on loopback, ports that need no
// rights, data in the current folder.
func (c *Config) dev() {
	c.Dev = true
	c.Hostname, c.DataDir, c.User = "localhost", "data", ""
	c.PublicURL = "http://127.0.0.1:8080"
	c.TLS.Mode = "dev"
	c.Outbound.Enabled = false
	c.SMTP.Verify = false // no DNS knows of what is tried here
	c.DNS.Checks = false  // a trial copy asks nobody by itself
	c.Listen = Listen{
		MX: Addrs{"127.0.0.1:2525"}, Submission: Addrs{"127.0.0.1:2587"}, Submissions: Addrs{"127.0.0.1:2465"},
		IMAP: Addrs{"127.0.0.1:2143"}, IMAPS: Addrs{"127.0.0.1:2993"},
		POP3: Addrs{"127.0.0.1:2110"}, POP3S: Addrs{"127.0.0.1:2995"},
		HTTP: Addrs{"127.0.0.1:8080"}, HTTPS: Addrs{"127.0.0.1:8443"}, Metrics: Addrs{"127.0.0.1:9090"},
	}
}

// loadConfig reads file (required if the person named it) and the environment over the
// defaults, and reports every mistake at once.
func loadConfig(file string, named, dev bool) (*Config, error) {
	c := defaults()
	if dev {
		c.dev()
	}
	var mistakes []error
	if named || !dev {
		mistakes = append(mistakes, c.readFile(file, named)...)
	}
	if err := env.ParseWithOptions(c, env.Options{Prefix: "POSTCHI_"}); err != nil {
		mistakes = append(mistakes, envMistakes(err)...)
	}
	c.Listen.turnOff()
	mistakes = append(mistakes, c.check()...)
	if len(mistakes) > 0 {
		return nil, models.Errorf(models.Invalid, "config.invalid", "The configuration has mistakes:\n  %s", joinLines(mistakes))
	}
	return c, nil
}

func joinLines(mistakes []error) string {
	lines := make([]string, len(mistakes))
	for i, err := range mistakes {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n  ")
}

func (c *Config) readFile(file string, named bool) []error {
	meta, err := toml.DecodeFile(file, c)
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return []error{fmt.Errorf("%s: %w", file, err)}
	}
	var mistakes []error
	for _, key := range meta.Undecoded() {
		mistakes = append(mistakes, fmt.Errorf("%s: unknown key %q", file, key.String()))
	}
	return mistakes
}

// turnOff takes an empty variable for off; the library takes it for none.
func (l *Listen) turnOff() {
	for name, addrs := range map[string]*Addrs{"MX": &l.MX, "SUBMISSION": &l.Submission, "SUBMISSIONS": &l.Submissions, "IMAP": &l.IMAP, "IMAPS": &l.IMAPS,
		"POP3": &l.POP3, "POP3S": &l.POP3S, "HTTP": &l.HTTP, "HTTPS": &l.HTTPS, "METRICS": &l.Metrics} {
		if value, set := os.LookupEnv("POSTCHI_LISTEN_" + name); set && value == "" {
			*addrs = nil
		}
	}
}

func envMistakes(err error) []error {
	var all env.AggregateError
	if errors.As(err, &all) {
		return all.Errors
	}
	return []error{err}
}

// check finds what cannot work, and completes what follows from other keys.
func (c *Config) check() []error {
	var m []error
	bad := func(format string, args ...any) { m = append(m, fmt.Errorf(format, args...)) }
	if c.Hostname == "" {
		bad("hostname is not set (the name of this server, as mail clients see it: mail.example.net)")
	} else if host, err := address.ParseDomain(c.Hostname); err != nil && c.Hostname != "localhost" {
		bad("hostname %q is no host name", c.Hostname)
	} else if err == nil {
		c.Hostname = host
	}
	if c.DataDir == "" {
		bad("data_dir is not set")
	} else if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	if c.PublicURL == "" {
		c.PublicURL = "https://" + c.Hostname
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		bad("public_url %q is no http or https address", c.PublicURL)
	}
	for _, p := range c.TrustedProxies {
		if _, err := parsePrefix(p); err != nil {
			bad("trusted_proxies: %q is no address or network", p)
		}
	}
	c.checkTLS(bad)
	c.checkListen(bad)
	c.checkNumbers(bad)
	c.checkFilters(bad)
	c.Outbound.check(bad)
	c.Queue.check(bad)
	if _, err := resolverAddr(c.DNS.Resolver); err != nil {
		bad("dns.resolver: %q is no address (192.0.2.53, 192.0.2.53:53, [2001:db8::53]:53)", c.DNS.Resolver)
	}
	return m
}

// keyFile is the file of the key that opens the database's secrets.
func (c *Config) keyFile() string {
	if c.Secrets.KeyFile != "" {
		return c.Secrets.KeyFile
	}
	return filepath.Join(c.DataDir, "server.key")
}

func (c *Config) checkTLS(bad func(string, ...any)) {
	switch c.TLS.Mode {
	case "dev":
	case "files":
		if c.TLS.Cert == "" || c.TLS.Key == "" {
			bad("tls.cert and tls.key must name the certificate's files (PEM)")
		}
	case "acme":
		c.checkACME(bad)
	default:
		bad("tls.mode is %q; it can be \"files\", \"acme\" or \"dev\"", c.TLS.Mode)
	}
	switch c.Blob.Driver {
	case "seg":
	case "s3", "sql":
		bad("blob.driver %q does not exist yet; use \"seg\"", c.Blob.Driver)
	default:
		bad("blob.driver is %q; it can be \"seg\"", c.Blob.Driver)
	}
}

func (c *Config) checkACME(bad func(string, ...any)) {
	if len(c.Listen.HTTP) == 0 && len(c.Listen.HTTPS) == 0 {
		bad("tls.mode \"acme\" needs listen.http or listen.https: the authority asks there who we are")
	}
	for _, name := range c.certNames() {
		if _, err := address.ParseDomain(name); err != nil || !strings.Contains(name, ".") {
			bad("tls: no authority gives a certificate for %q", name)
		}
	}
	if c.TLS.ACMEDirectory != "" {
		if u, err := url.Parse(c.TLS.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
			bad("tls.acme_directory %q is no https address", c.TLS.ACMEDirectory)
		}
	}
	if c.TLS.ACMEAuthority != "" {
		if _, err := os.ReadFile(c.TLS.ACMEAuthority); err != nil {
			bad("tls.acme_authority: %v", err)
		}
	}
}

func (c *Config) checkListen(bad func(string, ...any)) {
	for name, addrs := range c.Listen.all() {
		for _, a := range addrs {
			if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
				bad("listen.%s: %q is no address with a port (\":25\", \"127.0.0.1:25\")", name, a)
			}
		}
	}
}

func (l Listen) all() map[string]Addrs {
	return map[string]Addrs{"mx": l.MX, "submission": l.Submission, "submissions": l.Submissions, "imap": l.IMAP, "imaps": l.IMAPS, "pop3": l.POP3, "pop3s": l.POP3S,
		"http": l.HTTP, "https": l.HTTPS, "metrics": l.Metrics}
}

func (c *Config) checkNumbers(bad func(string, ...any)) {
	if c.Auth.BcryptCost < 10 || c.Auth.BcryptCost > 16 {
		bad("auth.bcrypt_cost is %d; it can be 10 to 16", c.Auth.BcryptCost)
	}
	if c.Auth.MinPassword < 8 || c.Auth.MinPassword > 64 {
		bad("auth.min_password is %d; it can be 8 to 64", c.Auth.MinPassword)
	}
	if c.SMTP.MaxMessage < 1<<20 || c.SMTP.MaxMessage > 1<<31 {
		bad("smtp.max_message is %d bytes; it can be 1MB to 2GB", int64(c.SMTP.MaxMessage))
	}
	// RFC 5321, section 4.5.3.1.8: at least 100 recipients must be accepted.
	if c.SMTP.MaxRecipients < 100 || c.SMTP.MaxRecipients > 1000 {
		bad("smtp.max_recipients is %d; it can be 100 to 1000", c.SMTP.MaxRecipients)
	}
	if c.Blob.SegmentSize < 1<<20 || c.Blob.SegmentSize > 4<<30 {
		bad("blob.segment_size is %d bytes; it can be 1MB to 4GB", int64(c.Blob.SegmentSize))
	}
	if c.Defaults.Quota < 0 {
		bad("defaults.quota is below 0")
	}
	if c.Domains.Proof != "required" && c.Domains.Proof != "none" {
		bad("domains.proof is %q; it can be \"required\" or \"none\"", c.Domains.Proof)
	}
	if c.Domains.MTASTS != "testing" && c.Domains.MTASTS != "enforce" && c.Domains.MTASTS != "none" {
		bad("domains.mta_sts is %q; it can be \"testing\", \"enforce\" or \"none\"", c.Domains.MTASTS)
	}
	positive := map[string]int64{
		"limits.network_connections": int64(c.Limits.NetworkConnections), "limits.mailbox_sessions": int64(c.Limits.MailboxSessions),
		"limits.network_sessions": int64(c.Limits.NetworkSessions), "limits.idle": int64(c.Limits.Idle), "limits.login_idle": int64(c.Limits.LoginIdle),
		"smtp.full_grace": int64(c.SMTP.FullGrace), "limits.min_rate": c.Limits.MinRate, "limits.min_rate_over": int64(c.Limits.MinRateOver),
		"keep.bin": int64(c.Keep.Bin), "keep.events": int64(c.Keep.Events), "keep.logins": int64(c.Keep.Logins),
	}
	for key, n := range positive {
		if n <= 0 {
			bad("%s must be above 0", key)
		}
	}
	if c.DKIM.Renew != 0 && c.DKIM.Renew < 14*24*time.Hour {
		bad("dkim.renew is %v; it can be 0 (never) or 336h and more", c.DKIM.Renew)
	}
	for key, n := range map[string]int64{
		"limits.mailbox_hour": c.Limits.MailboxHour, "limits.mailbox_day": c.Limits.MailboxDay, "limits.domain_hour": c.Limits.DomainHour, "limits.domain_day": c.Limits.DomainDay,
	} {
		if n < 0 {
			bad("%s is below 0; 0 is no limit", key)
		}
	}
	if c.Auth.Workers < 0 {
		bad("auth.workers is below 0")
	}
	if _, err := logLevel(c.Log.Level); err != nil {
		bad("log.level is %q; it can be debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format is %q; it can be text or json", c.Log.Format)
	}
}

// resolverAddr completes the address of the DNS server with its port; "" stays empty.
func resolverAddr(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	a, err := netip.ParseAddrPort(s)
	return a.String(), err
}

// sendingLimits are the limits of recipients outside this server.
func (c *Config) sendingLimits() models.SendingLimits {
	l := &c.Limits
	return models.SendingLimits{MailboxHour: l.MailboxHour, MailboxDay: l.MailboxDay, DomainHour: l.DomainHour, DomainDay: l.DomainDay}
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
