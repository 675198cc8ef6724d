// Package smtpd takes mail by SMTP: from other servers (MX) and from mail programs of our own
// mailboxes (submission), on one code path with a Mode.
//
// The commands are those of go-smtp. Between it and the socket stands a wire, which frames the
// stream itself: it gives go-smtp one line at a time, reads bodies (DATA and BDAT) strictly,
// does STARTTLS by handing the connection to a second go-smtp server that begins anew under
// TLS, and groups replies as RFC 2920 wants it. What the client sent ahead is therefore always
// in one buffer that we know, and nothing sent in clear can be taken for a command under TLS.
//
// A session lives from EHLO to the end of its connection and belongs to one goroutine; only
// the end of a session (suspension, new password, shutdown) comes from another. A message costs
// the same memory whatever its size: past 256 KiB it is in a spool file, which is removed when
// the message is answered.
package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Mode is what a server is for.
type Mode int

// The modes.
const (
	ModeMX          Mode = iota // from other servers, for mailboxes here; nobody logs in
	ModeSubmission              // from mailboxes here, STARTTLS first (RFC 6409)
	ModeSubmissions             // the same under TLS from the first byte (RFC 8314)
)

// String returns the mode as it is in logs and metrics.
func (m Mode) String() string {
	switch m {
	case ModeMX:
		return "mx"
	case ModeSubmission:
		return "submission"
	case ModeSubmissions:
		return "submissions"
	}
	return fmt.Sprintf("mode(%d)", int(m))
}

// submits reports whether senders log in.
func (m Mode) submits() bool { return m != ModeMX }

// direction is the mode's word in events.
func (m Mode) direction() string {
	if m.submits() {
		return "out"
	}
	return "in"
}

// Attempt is one log-in.
type Attempt struct {
	Remote   netip.Addr
	Client   string // what the client calls itself in EHLO
	Name     string // as given
	Password string // as given, never trimmed
}

// Accounts is what a session asks of the accounts. All errors are *models.Error whose Msg may
// be shown to the client.
type Accounts interface {
	// Login returns the account if the password is right. Kind Denied covers unknown and
	// wrong alike; Suspended comes only after the right password; Limited, Unavailable and
	// Internal are temporary.
	Login(ctx context.Context, a Attempt) (*models.Account, error)

	// Open counts a session of an account that has logged in, until release is called. end
	// is called, from any goroutine and at any time, when the session must stop. Limited
	// means too many sessions.
	Open(ctx context.Context, account *models.Account, remote netip.Addr, client string, end func(reason *models.Error)) (release func(), err error)

	// Sender returns the account as it is now: its switch for sending may have changed since
	// the log-in.
	Sender(ctx context.Context, id models.ID) (*models.Account, error)

	// Addresses returns what an account may send as beside its own address, normalized.
	Addresses(ctx context.Context, account *models.Account) ([]string, error)
}

// Delivery is where messages go.
type Delivery interface {
	// Route returns where mail for an address goes, or why it cannot go there now. It may be
	// shared with others.
	Route(ctx context.Context, addr address.Address, asked delivery.Asked) (*models.Route, error)

	// Accept takes responsibility for a message, or returns why not; then nothing is stored.
	Accept(ctx context.Context, e delivery.Envelope, b delivery.Body) error
}

// Events takes the lines of the trace. Record never blocks.
type Events interface{ Record(models.Event) }

// Mechanism is one SASL mechanism that takes a name and a password.
type Mechanism struct {
	Name string // in upper case
	// New returns the server side of one exchange. login is called at most once; its error
	// is returned by Next as it is.
	New func(login func(name, password string) error) Exchange
}

// Exchange is the server side of one SASL exchange, as in go-sasl: response is nil at the
// beginning if the client sent none.
type Exchange interface {
	Next(response []byte) (challenge []byte, done bool, err error)
}

// Config is all that a server needs.
type Config struct {
	Mode     Mode
	Hostname string      // in greetings and Received lines
	TLS      *tls.Config // required but for an MX without STARTTLS

	Accounts   Accounts    // not for ModeMX
	Mechanisms []Mechanism // announced in this order; not for ModeMX
	Delivery   Delivery
	Checks     Checks                       // of mail from other servers; nil = none
	Events     Events                       // nil = none
	IDs        interface{ New() models.ID } // name messages in Received lines and logs

	MaxMessage    int64 // bytes, announced by SIZE; a message of exactly that size is taken; default 50 MiB
	MaxRecipients int   // of one message; default and most 1,000
	MaxErrors     int   // refused commands after which a connection is closed, ten times that after log-in; default 20
	MaxFailures   int   // failed log-ins after which a connection is closed; default 5

	// ClientAddress puts address and EHLO name of the client into the Received line of
	// submitted mail too; on an MX they always are.
	ClientAddress bool

	// SpoolDir is where messages over 256 KiB wait until they are stored; it belongs to this
	// server alone: what is left there at the start is removed. Empty = a folder in the
	// system's temporary one.
	SpoolDir string

	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = none
	Panicked func()           // called for each panic of a session; nil = nothing

	// silence is how long a client may be silent within a body that we refuse already; 10 s.
	silence time.Duration
}

// Times and sizes that are no settings.
const (
	loginTime     = 30 * time.Second // for a log-in, the queue for bcrypt included
	lookupTime    = 15 * time.Second // for one question to the database
	checkTime     = time.Minute      // for all checks of a message; clients wait for 10 minutes
	acceptTime    = 2 * time.Minute  // to store a message; RFC 5321, section 4.5.3.2.6: clients wait 10 minutes
	lingerTime    = time.Second      // how long a client may take to read our last words
	lingerBytes   = 1 << 20          // how much it may still send meanwhile
	idleTime      = 5 * time.Minute  // RFC 5321, section 4.5.3.2.7; where the listener has no limits of its own
	maxRecipients = 1000             // all of them are one transaction; RFC 5321, section 4.5.3.1.8, asks for 100
	maxReceived   = 100              // RFC 5321, section 6.3
	minSwallowed  = 1 << 20          // what of a refused body is read at least, in bytes
)

func (c Config) withDefaults() Config {
	if c.MaxMessage <= 0 {
		c.MaxMessage = 50 << 20
	}
	if c.MaxRecipients <= 0 || c.MaxRecipients > maxRecipients {
		c.MaxRecipients = maxRecipients
	}
	if c.MaxErrors <= 0 {
		c.MaxErrors = 20
	}
	if c.MaxFailures <= 0 {
		c.MaxFailures = 5
	}
	if c.silence <= 0 {
		c.silence = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Panicked == nil {
		c.Panicked = func() {}
	}
	if c.TLS != nil {
		// Small records at the beginning of a connection help browsers; here they only
		// cost a system call each.
		c.TLS = c.TLS.Clone()
		c.TLS.DynamicRecordSizingDisabled = true
	}
	return c
}

// check returns what is missing.
func (c Config) check() error {
	switch {
	case c.Hostname == "":
		return fmt.Errorf("smtpd: Hostname is missing")
	case c.Delivery == nil, c.IDs == nil:
		return fmt.Errorf("smtpd: Delivery and IDs are required")
	case c.Mode.submits() && (c.Accounts == nil || c.TLS == nil || len(c.Mechanisms) == 0):
		return fmt.Errorf("smtpd: %s needs Accounts, Mechanisms and TLS", c.Mode)
	}
	return nil
}

// ListenOptions returns how the gate of package conn is to treat listeners of a server of this
// mode.
func ListenOptions(m Mode) conn.Options {
	o := conn.Options{Proto: models.ProtoSubmission, Refuse: []byte("421 4.7.0 Too many connections from your network, try again later\r\n")}
	switch m {
	case ModeMX:
		o.BeforeLogin = idleTime // nobody logs in
	case ModeSubmission:
		o.LoginWithin = 5 * time.Minute
	case ModeSubmissions:
		o.LoginWithin = 5 * time.Minute
		o.Refuse = nil // nobody could read it
	}
	return o
}
