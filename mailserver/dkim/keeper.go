package dkim

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/postchi/postchi/models"
)

// Records keeps the keys of all domains. Methods called with the context of Write's function
// take part in its transaction.
type Records interface {
	NewID() models.ID
	Write(ctx context.Context, fn func(ctx context.Context) error) error
	InsertKeys(ctx context.Context, keys []models.DKIMKey) error
	Keys(ctx context.Context, domain models.ID) ([]models.DKIMKey, error)
	// UpdateKey is a Conflict if the key's state is no longer from.
	UpdateKey(ctx context.Context, k *models.DKIMKey, from models.DKIMState) error
	DomainsWithoutKeys(ctx context.Context, limit int) ([]models.Domain, error)
	KeysToRenew(ctx context.Context, before models.Micros, limit int) ([]models.DKIMKey, error)
	RetireKeys(ctx context.Context, before models.Micros, limit int) (int64, error)
}

// KeeperConfig is what a Keeper needs. Records and Box must be set.
type KeeperConfig struct {
	Records Records
	Box     Box
	Keep    time.Duration    // how long records of retiring keys are needed; 0 = KeepPublished
	Renew   time.Duration    // age at which an active key gets a successor; 0 = never by itself
	Bits    int              // of RSA keys; 0 = 2048; tests take less
	Now     func() time.Time // nil = time.Now
	Log     *slog.Logger     // nil = none
}

// Keeper makes keys and moves them through their lives. Safe for concurrent use, in any number
// of processes.
type Keeper struct{ config KeeperConfig }

// NewKeeper returns a keeper.
func NewKeeper(config KeeperConfig) *Keeper {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Keep <= 0 {
		config.Keep = KeepPublished
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Bits == 0 {
		config.Bits = rsaBits
	}
	return &Keeper{config}
}

func (k *Keeper) now() models.Micros { return models.At(k.config.Now()) }

// NewKeys makes the first keys of a domain, one for each algorithm. The caller inserts them
// with the domain. It takes 0.1 s or more: not for use in a transaction.
func (k *Keeper) NewKeys(domain models.ID) ([]models.DKIMKey, error) {
	return k.make(domain, nil, algorithms)
}

func (k *Keeper) make(domain models.ID, old []models.DKIMKey, wanted []models.DKIMAlgorithm) ([]models.DKIMKey, error) {
	n := 0
	for _, o := range old {
		n = max(n, number(o.Selector))
	}
	keys := make([]models.DKIMKey, 0, len(wanted))
	for _, a := range wanted {
		key, err := newKey(k.config.Box, models.DKIMKey{ID: k.config.Records.NewID(), DomainID: domain, Algorithm: a,
			Selector: selector(a, n+1), CreatedAt: k.now()}, k.config.Bits)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Rotate makes a successor for every algorithm of a domain that has none waiting. It is active
// once the DNS shows it.
func (k *Keeper) Rotate(ctx context.Context, domain models.ID) error {
	old, err := k.config.Records.Keys(ctx, domain)
	if err != nil {
		return err
	}
	var wanted []models.DKIMAlgorithm
	for _, a := range algorithms {
		if find(old, a, models.DKIMNext) == nil {
			wanted = append(wanted, a)
		}
	}
	keys, err := k.make(domain, old, wanted)
	if err != nil {
		return err
	}
	err = k.config.Records.InsertKeys(ctx, keys)
	if models.Is(err, models.Conflict) {
		return nil // another process had the same thought: selectors are unique
	}
	return err
}

func find(keys []models.DKIMKey, a models.DKIMAlgorithm, s models.DKIMState) *models.DKIMKey {
	for i := range keys {
		if keys[i].Algorithm == a && keys[i].State == s {
			return &keys[i]
		}
	}
	return nil
}

// Seen takes in what the DNS shows at the selectors of a domain. A key that is next becomes
// active with verdict ok, which says that authoritative servers and a resolver have it; the
// one before retires in the same transaction.
func (k *Keeper) Seen(ctx context.Context, domain models.ID, seen map[string]models.DNSVerdict) error {
	keys, err := k.config.Records.Keys(ctx, domain)
	if err != nil {
		return err
	}
	var errs []error
	for i := range keys {
		key := &keys[i]
		if key.State != models.DKIMNext {
			continue
		}
		switch verdict := seen[key.Selector]; {
		case verdict == models.DNSWrong:
			errs = append(errs, k.other(ctx, key))
		case verdict == models.DNSOK && k.settled(key):
			errs = append(errs, k.activate(ctx, key))
		}
	}
	return errors.Join(errs...)
}

func (k *Keeper) settled(key *models.DKIMKey) bool {
	return key.OtherAt == 0 || k.config.Now().Sub(key.OtherAt.Time()) >= settle
}

// other remembers that another key stands at the selector, which caches now know.
func (k *Keeper) other(ctx context.Context, key *models.DKIMKey) error {
	if k.config.Now().Sub(key.OtherAt.Time()) < time.Hour {
		return nil // close enough
	}
	key.OtherAt = k.now()
	return beaten(k.config.Records.UpdateKey(ctx, key, key.State))
}

func (k *Keeper) activate(ctx context.Context, next *models.DKIMKey) error {
	err := k.config.Records.Write(ctx, func(ctx context.Context) error {
		keys, err := k.config.Records.Keys(ctx, next.DomainID)
		if err != nil {
			return err
		}
		if old := find(keys, next.Algorithm, models.DKIMActive); old != nil {
			old.State, old.RetiredAt = models.DKIMRetiring, k.now()
			if err := k.config.Records.UpdateKey(ctx, old, models.DKIMActive); err != nil {
				return err
			}
		}
		next.State, next.ActiveAt = models.DKIMActive, k.now()
		return k.config.Records.UpdateKey(ctx, next, models.DKIMNext)
	})
	if err == nil {
		k.config.Log.Info("DKIM key active", "domain_id", next.DomainID, "selector", next.Selector)
	}
	return beaten(err)
}

// beaten forgives that another process did the same first.
func beaten(err error) error {
	if models.Is(err, models.Conflict) {
		return nil
	}
	return err
}

// jobPiece is how many keys or domains one round of a job takes at once.
const jobPiece = 20

// Complete makes keys for domains that have none, from before there were keys. It returns how
// many domains got some; the caller repeats it until 0.
func (k *Keeper) Complete(ctx context.Context) (int64, error) {
	domains, err := k.config.Records.DomainsWithoutKeys(ctx, jobPiece)
	for i, d := range domains {
		keys, err := k.NewKeys(d.ID)
		if err == nil {
			err = beaten(k.config.Records.InsertKeys(ctx, keys))
		}
		if err != nil {
			return int64(i), err
		}
	}
	return int64(len(domains)), err
}

// Renew makes successors for active keys older than the configured age. It returns how many;
// the caller repeats it until 0.
func (k *Keeper) Renew(ctx context.Context) (int64, error) {
	if k.config.Renew <= 0 {
		return 0, nil
	}
	keys, err := k.config.Records.KeysToRenew(ctx, models.At(k.config.Now().Add(-k.config.Renew)), jobPiece)
	done := map[models.ID]bool{}
	for _, key := range keys {
		if done[key.DomainID] {
			continue // its algorithms renew together
		}
		if err := k.Rotate(ctx, key.DomainID); err != nil {
			return int64(len(done)), err
		}
		done[key.DomainID] = true
	}
	return int64(len(done)), err
}

// Retire ends keys whose record nobody needs any more, and removes their private parts. It
// returns how many; the caller repeats it until 0.
func (k *Keeper) Retire(ctx context.Context) (int64, error) {
	return k.config.Records.RetireKeys(ctx, models.At(k.config.Now().Add(-k.config.Keep)), 500)
}
