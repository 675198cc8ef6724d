// Package imapd is the IMAP server: IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) over package
// mailstore, with package wire as its codec. One file holds one command or a few that belong
// together; capability.go says which extensions there are.
//
// One goroutine serves one connection, also while it idles: a change of the selected folder
// interrupts its read. What a folder holds is a view, one for all sessions of the process that
// have it selected: a list of UIDs, four bytes for each message, which never changes in place.
// A session keeps the list it has told its client of, and moves on to the newest only where the
// protocol lets it announce the difference; so its message numbers are always those the client
// knows, whoever else works in the folder. Views follow the changes that package db tells of.
//
// SELECT and STATUS are answered from counters; a view's list is read when a command first
// needs it. Messages are never parsed for a listing: package mime did that once, at delivery.
// Passwords are taken under TLS only, on loopback too.
package imapd

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Attempt is one log-in.
type Attempt struct {
	Remote   netip.Addr
	Client   string // what the client calls itself (ID, RFC 2971); may be empty
	Name     string // as given
	Password string // as given, never trimmed
}

// Accounts is what a session asks of the accounts.
type Accounts interface {
	// Login returns the account if the password is right. Errors are *models.Error whose Msg
	// is shown to the client: kind Denied covers unknown and wrong alike, Suspended comes
	// only after the right password; Limited, Unavailable and Internal are temporary.
	Login(ctx context.Context, a Attempt) (*models.Account, error)
	// Open counts a session of an account that has logged in, until its place is closed. end
	// is called, from any goroutine and at any time, when the session must stop: the account
	// was suspended, removed, or has another password. Limited means too many sessions.
	Open(ctx context.Context, account *models.Account, remote netip.Addr, client string, end func(reason *models.Error)) (Place, error)
	// Quota returns what a mailbox may hold, as it is now or was half a second ago.
	Quota(ctx context.Context, mailbox models.ID) (mailstore.Quota, error)
}

// Place is a session's place among those of its account.
type Place interface {
	// Named notes what the client calls itself, if it says so after its log-in.
	Named(client string)
	Close()
}

// Store is what a session asks of the mail store; *mailstore.Store is one.
type Store interface {
	Folders(ctx context.Context, mailbox models.ID) ([]mailstore.Folder, error)
	Folder(ctx context.Context, mailbox models.ID, name string) (*mailstore.Folder, error)
	FolderByID(ctx context.Context, p mailstore.Place) (*mailstore.Folder, error)
	CreateFolder(ctx context.Context, mailbox models.ID, n mailstore.NewFolder) (*mailstore.Folder, error)
	RenameFolder(ctx context.Context, mailbox models.ID, from, to string) error
	DeleteFolder(ctx context.Context, mailbox models.ID, name string) error
	Subscribe(ctx context.Context, mailbox models.ID, name string, on bool) error
	TakeRecent(ctx context.Context, p mailstore.Place) (mailstore.UID, error)

	UIDs(ctx context.Context, folder models.ID, from mailstore.UID, limit int) ([]mailstore.UID, error)
	InSet(ctx context.Context, folder models.ID, set mailstore.Set, fn func(*mailstore.Message) error) error
	Changed(ctx context.Context, folder models.ID, since mailstore.ModSeq, fn func(*mailstore.Message) error) error
	Vanished(ctx context.Context, folder models.ID, since mailstore.ModSeq) (gone mailstore.Set, complete bool, err error)
	Contents(ctx context.Context, blobs ...models.ID) (map[models.ID]*mime.Contents, error)
	Open(ctx context.Context, m *mailstore.Message) (mailstore.Reader, error)

	Append(ctx context.Context, p mailstore.Place, q mailstore.Quota, messages ...mailstore.Appended) (uidvalidity uint32, uids []mailstore.UID, err error)
	SetFlags(ctx context.Context, p mailstore.Place, set mailstore.Set, change mailstore.FlagChange) (*mailstore.Flagged, error)
	Copy(ctx context.Context, from mailstore.Place, set mailstore.Set, to mailstore.Place, q mailstore.Quota) (*mailstore.Copied, error)
	Move(ctx context.Context, from mailstore.Place, set mailstore.Set, to mailstore.Place) (*mailstore.Copied, error)
	Expunge(ctx context.Context, p mailstore.Place, set mailstore.Set, deletedOnly bool) (*mailstore.Expunged, error)
	Usage(ctx context.Context, mailboxes ...models.ID) (map[models.ID]models.MailboxUsage, error)
}

// Blobs makes the bytes of appended messages durable; *blob.Blobs is one.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, size int64) (blob.Staged, error)
	Discard(staged ...blob.Staged)
}

// Watcher tells what has changed in the database, also by other processes; *db.DB is one.
type Watcher interface {
	Watch(fn func([]db.Change)) (stop func())
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

// Config is all that the server needs. Accounts, Store, Blobs and Watch must be set.
type Config struct {
	Hostname   string      // in the greeting; empty = none
	TLS        *tls.Config // nil = no STARTTLS, hence no log-in but under implicit TLS of the listener
	Accounts   Accounts
	Store      Store
	Blobs      Blobs
	Watch      Watcher
	Mechanisms []Mechanism // announced in this order

	// MaxMessage is the size in bytes of the largest message APPEND takes; default 50 MiB.
	MaxMessage int64
	// SpoolDir is where a large message waits while it is received; "" = os.TempDir().
	SpoolDir string

	// MaxErrors is the number of malformed commands after which a connection is closed;
	// default 20. MaxFailures is that of failed log-ins; default 5.
	MaxErrors, MaxFailures int

	// Idle is the longest wait for a command after log-in; default and least 30 min (RFC
	// 9051, section 5.4). BeforeLogin is that before log-in; default 60 s. Limits of the
	// connection (package conn) that are shorter win.
	Idle, BeforeLogin time.Duration

	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = none
	Panicked func()           // called when a session ends by a fault of ours; nil = nothing
}

// Times that bound one step of a session.
const (
	loginTime     = 30 * time.Second // for a log-in, the queue for bcrypt included
	handshakeTime = 30 * time.Second // for the TLS handshake
	writeTime     = 2 * time.Minute  // for a client to take 32 KiB of output
	leaveTime     = 5 * time.Second  // to note down what a session that ends has shown
)

func (c Config) withDefaults() Config {
	if c.MaxMessage <= 0 {
		c.MaxMessage = 50 << 20
	}
	if c.MaxErrors <= 0 {
		c.MaxErrors = 20
	}
	if c.MaxFailures <= 0 {
		c.MaxFailures = 5
	}
	if c.Idle < 30*time.Minute {
		c.Idle = 30 * time.Minute
	}
	if c.BeforeLogin <= 0 {
		c.BeforeLogin = time.Minute
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

// ListenOptions returns how the gate of package conn is to treat listeners of this server.
func ListenOptions(implicitTLS bool) conn.Options {
	o := conn.Options{Proto: models.ProtoIMAP, Idle: 31 * time.Minute, LoginWithin: 5 * time.Minute}
	if !implicitTLS {
		o.Refuse = []byte("* BYE [UNAVAILABLE] Too many connections from your network, try again later\r\n")
	}
	return o
}
