package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/dkim"
	"github.com/postchi/postchi/mailserver/dnsinfo"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/migrations"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/secret"
	"github.com/postchi/postchi/models/store"
	"github.com/postchi/postchi/panel/service"
)

// base is what the server and every command stand on: the migrated database, the records, the
// mail store, and the rules over them.
type base struct {
	config  *Config
	log     *slog.Logger
	db      *db.DB
	store   *store.Store
	secrets *secret.Box // opens what the database keeps sealed
	keys    *dkim.Keeper
	signer  *dkim.Signer
	dns     *dnsinfo.Info
	blobs   *blob.Blobs
	mail    *mailstore.Store
	damage  *damage

	resolver *resolver.Resolver
	service  *service.Service
	sessions service.Sessions                                           // nil in commands
	notices  service.Notices                                            // nil in commands: the server that runs mails their links
	outbound *queue.Queue                                               // nil: one that only changes what waits
	hasher   func(ctx context.Context, password string) (string, error) // nil = bcrypt in the caller's goroutine
	closers  []func() error

	publicURL string // of the panel, for links in mails
}

// openBase opens everything; kind is "server" or "command".
func openBase(ctx context.Context, config *Config, log *slog.Logger, kind string) (*base, error) {
	b := &base{config: config, log: log}
	if err := b.open(ctx, kind); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *base) open(ctx context.Context, kind string) error {
	if err := os.MkdirAll(b.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	dbConfig := db.Config{URL: b.config.Database.URL, DataDir: b.config.DataDir, Kind: kind, Log: b.log}
	if _, err := migrate(ctx, dbConfig, b.log); err != nil {
		return err
	}
	var err error
	if b.db, err = db.Open(ctx, dbConfig); err != nil {
		return err
	}
	b.closers = append(b.closers, b.db.Close)
	if b.store, err = store.New(b.db, b.log); err != nil {
		return err
	}
	if err := b.openSecrets(ctx); err != nil {
		return err
	}
	b.keys = dkim.NewKeeper(dkim.KeeperConfig{Records: b.store, Box: b.secrets, Keep: b.config.keepKeys(), Renew: b.config.DKIM.Renew, Log: b.log})
	b.signer = dkim.NewSigner(dkim.SignerConfig{Keys: b.store, Box: b.secrets, Log: b.log})
	if b.resolver, err = openResolver(b.config, b.log); err != nil {
		return err
	}
	return b.openMail()
}

// openSecrets opens the key file, which is made at the very first start only: a new key
// opens nothing in a database that has secrets.
func (b *base) openSecrets(ctx context.Context) error {
	file := b.config.keyFile()
	used, err := secret.Used(ctx, b.store)
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); used && errors.Is(err, os.ErrNotExist) {
		return secret.Missing(file)
	}
	if b.secrets, err = secret.Open(file); err != nil {
		return err
	}
	return b.secrets.Check(ctx, b.store, file)
}

// srsKey is the key of the addresses that stand for senders of forwarded mail, sealed in the
// database: all servers on it, and this one in a year, must know their own addresses again.
func (b *base) srsKey(ctx context.Context) ([]byte, error) {
	const name, sealedFor = "srs_key", "srs"
	sealed, err := b.store.Setting(ctx, name)
	if models.Is(err, models.NotFound) {
		key := make([]byte, 32)
		rand.Read(key)
		if sealed, err = b.secrets.Seal(key, sealedFor); err != nil {
			return nil, err
		}
		if err = b.store.AddSetting(ctx, name, sealed); models.Is(err, models.Conflict) {
			sealed, err = b.store.Setting(ctx, name) // another server was first
		}
	}
	if err != nil {
		return nil, err
	}
	return b.secrets.Unseal(sealed, sealedFor)
}

func openResolver(config *Config, log *slog.Logger) (*resolver.Resolver, error) {
	var servers []string
	if addr, _ := resolverAddr(config.DNS.Resolver); addr != "" { // checked
		servers = []string{addr}
	}
	return resolver.New(resolver.Config{Servers: servers, Log: log})
}

// openService completes the base; sender may be nil, as in commands.
func (b *base) openService(sender service.TestSender) (err error) {
	if b.dns == nil {
		if err := b.openDNS(configuredPort(b.config), b.covered()); err != nil {
			return err
		}
	}
	b.service, err = service.New(b.serviceConfig(sender))
	return err
}

// openMail opens the store of messages.
func (b *base) openMail() error {
	segments, err := seg.Open(seg.Config{
		Dir: filepath.Join(b.config.DataDir, "segments"), Node: b.db.IDs().Node(),
		SegmentSize: int64(b.config.Blob.SegmentSize), MinFree: int64(b.config.Blob.MinFree), Log: b.log,
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, segments.Close)
	b.damage = newDamage(b.store, b.log)
	if b.blobs, err = blob.New(blob.Config{DB: b.db, Drivers: []blob.Driver{segments}, OnDamage: b.damage.note, Log: b.log}); err != nil {
		return err
	}
	b.mail = mailstore.New(mailstore.Config{DB: b.db, Blobs: b.blobs, Log: b.log})
	b.closers = append(b.closers, func() error { b.mail.Close(); return nil })
	return nil
}

// hash makes a bcrypt hash: by the server's bounded workers, or by itself in a command.
func (b *base) hash(ctx context.Context, password string) (string, error) {
	if b.hasher != nil {
		return b.hasher(ctx, password)
	}
	h, err := bcrypt.GenerateFromPassword([]byte(password), b.config.Auth.BcryptCost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", models.Errorf(models.Invalid, "password.long", "The password is longer than 72 bytes.")
	}
	return string(h), err
}

// close closes in the opposite order of opening.
func (b *base) close() error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	b.closers = nil
	return errors.Join(errs...)
}

// migrate brings the schema to the newest version. Two processes cannot do it at once: on
// SQLite a file lock keeps the second waiting, on MySQL goose's lease.
func migrate(ctx context.Context, config db.Config, log *slog.Logger) (int, error) {
	unlock, err := lockMigration(ctx, config.DataDir)
	if err != nil {
		return 0, err
	}
	defer unlock()
	pool, dialect, err := db.OpenPool(config)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if err := checkDurability(ctx, pool, dialect, log); err != nil {
		return 0, err
	}
	current, newest, err := migrations.Status(ctx, pool, dialect.String())
	if err == nil && current == newest {
		return 0, nil
	}
	if err := copyBefore(config, dialect, current); err != nil {
		return 0, err
	}
	n, err := migrations.Apply(ctx, pool, dialect.String(), log)
	if err != nil && models.KindOf(err) == models.Internal {
		return n, models.Unavailablef(err, "The database cannot be brought to the newest schema.")
	}
	return n, err
}

func lockMigration(ctx context.Context, dataDir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dataDir, "migrate.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open migration lock: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, models.Unavailablef(ctx.Err(), "Another process is migrating the database.")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// copyBefore keeps a copy of an SQLite file that is about to change, since its owner may want
// to go back. On MySQL a dump is the administrator's (docs/backup.md).
func copyBefore(config db.Config, dialect db.Dialect, version int64) error {
	if dialect != db.SQLite || version == 0 {
		return nil
	}
	pool, _, err := db.OpenPool(config)
	if err != nil {
		return err
	}
	defer pool.Close()
	target := filepath.Join(config.DataDir, fmt.Sprintf("postchi-before-%d.db", version))
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := pool.Exec("VACUUM INTO ?", target); err != nil {
		return models.Unavailablef(err, "The database cannot be copied before its migration.")
	}
	return nil
}

func newLogger(config *Config, w io.Writer) *slog.Logger {
	level, _ := logLevel(config.Log.Level) // checked
	options := &slog.HandlerOptions{Level: level}
	if config.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
