// Package pop3d is the POP3 server: RFC 1939 with the extensions of RFC 2449 (CAPA,
// RESP-CODES, PIPELINING, EXPIRE, IMPLEMENTATION), RFC 2595 (STLS), RFC 3206 (SYS and AUTH
// response codes) and RFC 5034 (AUTH with an initial response).
//
// A session sees the maildrop as it was at log-in. It holds the maildrop's lock until it
// ends. Messages marked by DELE are removed by QUIT alone: a session that ends in any other
// way removes nothing. Passwords are taken under TLS only, on loopback too.
//
// One goroutine serves one connection. A message is never held in memory; an idle connection
// holds a small input buffer, the UIDs and sizes of its maildrop, and nothing else.
package pop3d

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
)

// Attempt is one log-in.
type Attempt struct {
	Remote   netip.Addr
	Name     string // as given
	Password string // as given, never trimmed
}

// Accounts is what a session asks of the accounts.
type Accounts interface {
	// Login returns the account if the password is right. Errors are *models.Error whose Msg
	// is shown to the client: kind Denied covers unknown and wrong alike, Suspended comes
	// only after the right password; Limited, Unavailable and Internal are temporary.
	Login(ctx context.Context, a Attempt) (*models.Account, error)

	// Open counts a session of an account that has logged in, until release is called. end
	// is called, from any goroutine and at any time, when the session must stop: the account
	// was suspended, removed, or has another password. Limited means too many sessions.
	Open(ctx context.Context, account *models.Account, remote netip.Addr, end func(reason *models.Error)) (release func(), err error)
}

// Message is one message of a maildrop.
type Message struct {
	UID  uint32 // unique in the maildrop as long as its UIDValidity stays
	Size int64  // in octets, lines ended by CRLF, before dots are stuffed
}

// Reader gives the bytes of a message.
type Reader interface {
	io.Reader
	io.WriterTo
	io.Closer
}

// Maildrop is a locked maildrop. One goroutine uses it.
type Maildrop interface {
	// UIDValidity and the UID of a message together name it for ever.
	UIDValidity() uint32
	// Messages returns the messages as they were when the maildrop was opened. It is called
	// once.
	Messages() []Message
	// Open returns the bytes of messages[i]. NotFound means that it is gone meanwhile.
	Open(ctx context.Context, i int) (Reader, error)
	// Remove removes messages by their positions, in order. Those that are gone already are
	// no error. On an error some or none of them are removed, and no others.
	Remove(ctx context.Context, positions []int) error
	// Close gives the lock back.
	Close()
}

// Maildrops opens maildrops.
type Maildrops interface {
	// Open locks and returns the maildrop of the account. It is of kind Conflict while
	// another session, of any process, has the lock.
	Open(ctx context.Context, account *models.Account) (Maildrop, error)
}

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

// Config is all that the server needs.
type Config struct {
	Hostname   string      // in the greeting; empty = none
	TLS        *tls.Config // nil = no STLS, hence no log-in but under implicit TLS of the listener
	Accounts   Accounts
	Maildrops  Maildrops
	Mechanisms []Mechanism // announced in this order

	// MaxErrors is the number of unknown or malformed commands after which a connection is
	// closed; default 20. MaxFailures is that of failed log-ins; default 5.
	MaxErrors, MaxFailures int

	// Idle is the longest wait for a command after log-in; default 10 min, the least that
	// RFC 1939, section 3, allows. BeforeLogin is that before log-in; default 60 s. Limits
	// of the connection (package conn) that are shorter win.
	Idle, BeforeLogin time.Duration

	Log *slog.Logger // nil = none
}

// Times that bound one step of a session.
const (
	loginTime     = 30 * time.Second // for a log-in, the queue for bcrypt included
	openTime      = 15 * time.Second // to find the bytes of a message or to open the maildrop
	removeTime    = time.Minute      // to remove what was deleted, all of it
	handshakeTime = 30 * time.Second // for the TLS handshake
)

func (c Config) withDefaults() Config {
	if c.MaxErrors <= 0 {
		c.MaxErrors = 20
	}
	if c.MaxFailures <= 0 {
		c.MaxFailures = 5
	}
	if c.Idle <= 0 {
		c.Idle = 10 * time.Minute
	}
	if c.BeforeLogin <= 0 {
		c.BeforeLogin = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TLS != nil {
		// Small records at the beginning of a connection help browsers; here they only
		// cost a system call each.
		c.TLS = c.TLS.Clone()
		c.TLS.DynamicRecordSizingDisabled = true
	}
	return c
}

// ListenOptions returns how the gate of package conn is to treat listeners of this server.
func ListenOptions(implicitTLS bool) conn.Options {
	o := conn.Options{Proto: models.ProtoPOP3, Idle: 10 * time.Minute, LoginWithin: 5 * time.Minute}
	if !implicitTLS {
		o.Refuse = []byte("-ERR [SYS/TEMP] Too many connections from your network, try again later\r\n")
	}
	return o
}
