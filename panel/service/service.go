// Package service is what a person may do with customers, users, domains and mailboxes. The
// panel, the command line and later the API call the same methods.
//
// Each method takes the viewer and acts within the viewer's scope; what is outside of it does
// not exist for the viewer (NotFound). A method checks everything, hashes, and then changes
// records in one transaction; effects on mail go through the interface Mail. Every change
// leaves one line in the log.
package service

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
)

// The types of lists are those of the records.
type (
	Query          = models.Query
	Page[T any]    = models.Page[T]
	DomainRow      = models.DomainRow
	MailboxRow     = models.MailboxRow
	CustomerLimits = models.CustomerLimits
)

// Config is what a Service needs. Store, Mail and Hash must be set.
type Config struct {
	Store    Store
	Mail     Mail
	Sender   TestSender // nil: SendTest and SendAutoReply answer Unavailable
	Keys     Keys       // nil: domains get no DKIM keys
	DNS      DNS        // nil: DNS and CheckDNS answer Unavailable
	Sessions Sessions   // nil: there are no connections here

	Notices Notices              // nil: links to addresses elsewhere wait for a server that has them
	Queue   Queue                // of messages to other servers; nil: nothing is queued, and holding a mailbox holds no message
	Secrets Sealer               // nil: passwords of smarthosts cannot be kept
	Sending models.SendingLimits // shown, not counted here
	// Addresses returns those of this machine, unmapped; nil = nobody knows.
	Addresses func() ([]netip.Addr, error)
	// PublicURL is how people reach the panel, without a final slash; links begin with it.
	PublicURL string

	// Hash makes a bcrypt hash. It is called before a transaction, never inside one.
	Hash func(ctx context.Context, password string) (string, error)
	// Verify reports with kind Denied that a password is not the one of a hash; nil = bcrypt.
	Verify func(ctx context.Context, hash, password string) error

	// Damaged is the number of messages that cannot be read any more; nil = nobody knows.
	Damaged func(ctx context.Context) (int, error)

	Passwords password.Policy
	Defaults  Defaults

	// Proof says whether a domain that a customer adds must be proven before it receives:
	// "none" = active at once; anything else = pending.
	Proof   string
	DevMode bool // every domain is active at once

	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // nil = none
}

// Defaults are settings of an installation.
type Defaults struct {
	Quota   int64 // bytes, of a mailbox that names none; 0 = no limit
	BinDays int   // how long the bin keeps a mailbox; 0 = 30
}

// Store is all that the rules ask of the records. Methods called with the context of Write's
// function take part in its transaction. Kinds of errors: NotFound, Conflict (a unique index),
// Unavailable.
type Store interface {
	DNSStore

	RoutingStore

	NewID() models.ID
	Write(ctx context.Context, fn func(ctx context.Context) error) error

	InsertCustomer(ctx context.Context, c *models.Customer) error
	Customer(ctx context.Context, scope models.Scope, id models.ID) (*models.Customer, error)
	CustomerByName(ctx context.Context, scope models.Scope, name string) (*models.Customer, error)
	Customers(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.Customer], error)
	UpdateCustomer(ctx context.Context, c *models.Customer) error
	LockCustomer(ctx context.Context, id models.ID) error
	Charge(ctx context.Context, id models.ID, domains, mailboxes, bytes int64) (ok bool, err error)
	DeleteCustomer(ctx context.Context, id models.ID) error

	InsertUser(ctx context.Context, u *models.User) error
	User(ctx context.Context, scope models.Scope, id models.ID) (*models.User, error)
	UserByEmail(ctx context.Context, scope models.Scope, email string) (*models.User, error)
	Users(ctx context.Context, scope models.Scope, customer models.ID) ([]models.User, error)
	LockAdmins(ctx context.Context) ([]models.ID, error)
	UpdateUser(ctx context.Context, u *models.User) error
	DeleteUser(ctx context.Context, id models.ID) error

	InsertDomain(ctx context.Context, d *models.Domain) error
	Domain(ctx context.Context, scope models.Scope, name string) (*models.Domain, error)
	DomainByID(ctx context.Context, scope models.Scope, id models.ID) (*models.Domain, error)
	Domains(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.DomainRow], error)
	UpdateDomain(ctx context.Context, d *models.Domain) error
	DeleteDomain(ctx context.Context, id models.ID) error

	InsertAddress(ctx context.Context, a *models.Address) error
	TakenLocals(ctx context.Context, domain models.ID, locals []string) (map[string]bool, error)
	HolderOf(ctx context.Context, domain models.ID, local string) (*models.MailboxRow, error)

	InsertMailbox(ctx context.Context, m *models.Mailbox) error
	Mailbox(ctx context.Context, scope models.Scope, address string) (*models.MailboxRow, error)
	MailboxByID(ctx context.Context, scope models.Scope, id models.ID) (*models.MailboxRow, error)
	Mailboxes(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.MailboxRow], error)
	MailboxIDs(ctx context.Context, customer, domain models.ID, limit int) ([]models.ID, error)
	MailboxesToPurge(ctx context.Context, before models.Micros, after models.ID, limit int) ([]models.ID, error)
	CountMailboxes(ctx context.Context, customer, domain models.ID) (int64, error)
	CountUnlimited(ctx context.Context, customer models.ID) (int64, error)
	UpdateMailbox(ctx context.Context, m *models.Mailbox) error
	UpdateMailboxPassword(ctx context.Context, m *models.Mailbox) error
	UpdateMailboxBin(ctx context.Context, m *models.Mailbox) error
	DeleteMailbox(ctx context.Context, id models.ID) error

	Logins(ctx context.Context, mailbox models.ID, limit int) ([]models.Login, error)
	Events(ctx context.Context, scope models.Scope, q models.EventQuery) ([]models.Event, error)
	LastUses(ctx context.Context, mailbox models.ID, limit int) ([]models.LastUse, error)
	LogOut(ctx context.Context, mailbox models.ID) error
	Traces(ctx context.Context, scope models.Scope, q models.TraceQuery) (models.Traces, error)
	Trace(ctx context.Context, scope models.Scope, id models.ID) (*models.Trace, error)
	Bounces(ctx context.Context, scope models.Scope, since models.Micros) (int64, error)
	HeldSenders(ctx context.Context, scope models.Scope, limit int) ([]models.Mailbox, error)
	MailboxBlocks(ctx context.Context, mailbox models.ID, now models.Micros) ([]models.LoginBlock, error)
	DeleteBlocks(ctx context.Context, mailbox models.ID, network string) error

	Totals(ctx context.Context, scope models.Scope) (models.Totals, error)
	NearlyFull(ctx context.Context, scope models.Scope, percent, limit int) ([]models.MailboxRow, error)
	Waiting(ctx context.Context, scope models.Scope, limit int) ([]models.Domain, error)
	BlockedMailboxes(ctx context.Context, scope models.Scope, now models.Micros, limit int) ([]models.BlockedMailbox, error)
}

// Mail is all that accounts ask of the mail store.
type Mail interface {
	// CreateMailbox makes the folders of a mailbox in the transaction that ctx carries.
	CreateMailbox(ctx context.Context, mailbox models.ID) error
	// RemoveMailbox removes everything in a mailbox, in pieces; it can be repeated after a
	// crash. A mailbox that is not there is no error, or NotFound.
	RemoveMailbox(ctx context.Context, mailbox models.ID) error
	// Recount compares the counters of a mailbox with its messages and with fix mends them.
	Recount(ctx context.Context, mailbox models.ID, fix bool) (models.Drift, error)
}

// TestSender puts a test message into a mailbox, or what the mailbox answers by itself to senders
// inside its customer's domains or outside, in a language of the panel.
type TestSender interface {
	SendTest(ctx context.Context, mailbox *models.Mailbox, language string) error
	SendAutoReply(ctx context.Context, mailbox *models.Mailbox, reply *models.AutoReply, inside bool, language string) error
}

// Service is the rules over the records. Safe for concurrent use.
type Service struct {
	config Config
	store  Store
	mail   Mail
	log    *slog.Logger
}

// New returns a service, or an error that names what config lacks.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Mail == nil || config.Hash == nil {
		return nil, errors.New("service: Store, Mail and Hash must be set")
	}
	if config.Verify == nil {
		config.Verify = verify
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Defaults.BinDays == 0 {
		config.Defaults.BinDays = 30
	}
	return &Service{config: config, store: config.Store, mail: config.Mail, log: config.Log}, nil
}

func verify(_ context.Context, hash, pw string) error {
	// bcrypt's compare silently reads 72 bytes.
	if len(pw) > password.MaxBytes || bcrypt.CompareHashAndPassword([]byte(hash), []byte(pw)) != nil {
		return models.Errorf(models.Denied, "password.wrong", "The password is not right.")
	}
	return nil
}

func (s *Service) now() models.Micros { return models.At(s.config.Now()) }

// done logs a change: who did what to what.
func (s *Service) done(v Viewer, what string, args ...any) {
	s.log.Info(what, append([]any{"by", v.Name}, args...)...)
}

func notFound() error { return models.Errorf(models.NotFound, "not_found", "Not found.") }

// conflict replaces a Conflict of the store by words that say what is taken.
func conflict(err error, as *models.Error) error {
	if models.Is(err, models.Conflict) {
		return as.Because(err)
	}
	return err
}
