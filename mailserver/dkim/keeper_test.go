package dkim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

// memory keeps keys of domains as the database does.
type memory struct {
	ids     models.ID
	keys    []models.DKIMKey
	domains []models.Domain
}

func (m *memory) NewID() models.ID { m.ids++; return m.ids }

func (m *memory) Write(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func (m *memory) InsertKeys(_ context.Context, keys []models.DKIMKey) error {
	m.keys = append(m.keys, keys...)
	return nil
}

func (m *memory) Keys(_ context.Context, domain models.ID) (out []models.DKIMKey, _ error) {
	for _, k := range m.keys {
		if k.DomainID == domain {
			out = append(out, k)
		}
	}
	return out, nil
}

func (m *memory) UpdateKey(_ context.Context, k *models.DKIMKey, from models.DKIMState) error {
	for i := range m.keys {
		if m.keys[i].ID == k.ID && m.keys[i].State == from {
			m.keys[i] = *k
			return nil
		}
	}
	return models.Errorf(models.Conflict, "", "")
}

func (m *memory) DomainsWithoutKeys(context.Context, int) (out []models.Domain, _ error) {
	for _, d := range m.domains {
		if keys, _ := m.Keys(context.Background(), d.ID); len(keys) == 0 {
			out = append(out, d)
		}
	}
	return out, nil
}

func (m *memory) KeysToRenew(_ context.Context, before models.Micros, _ int) (out []models.DKIMKey, _ error) {
	for _, k := range m.keys {
		keys, _ := m.Keys(context.Background(), k.DomainID)
		if k.State == models.DKIMActive && k.ActiveAt < before && find(keys, k.Algorithm, models.DKIMNext) == nil {
			out = append(out, k)
		}
	}
	return out, nil
}

func (m *memory) RetireKeys(_ context.Context, before models.Micros, _ int) (n int64, _ error) {
	for i := range m.keys {
		if m.keys[i].State == models.DKIMRetiring && m.keys[i].RetiredAt < before {
			m.keys[i].State, m.keys[i].Sealed = models.DKIMRetired, ""
			n++
		}
	}
	return n, nil
}

func (m *memory) SigningKeys(ctx context.Context, domain string, _ models.ID) (out []models.DKIMKey, _ error) {
	for _, d := range m.domains {
		if d.Name == domain {
			keys, _ := m.Keys(ctx, d.ID)
			for _, k := range keys {
				if k.State == models.DKIMActive {
					out = append(out, k)
				}
			}
		}
	}
	return out, nil
}

// owner is somebody who keeps a domain's zone by hand: publishes what is asked for some days
// later, and takes away what may go.
type owner struct {
	name  string
	delay time.Duration // from the making of a key to its publication; below 0 = never
	typo  bool          // publishes the key of another at first, for a day
	zone  map[string]string
}

func (o *owner) act(now time.Time, keys []models.DKIMKey) {
	for i := range keys {
		k := &keys[i]
		name := k.Selector + "._domainkey." + o.name
		switch k.State {
		case models.DKIMNext:
			if age := now.Sub(k.CreatedAt.Time()); o.delay >= 0 && age >= o.delay {
				o.zone[name] = Text(k)
				if o.typo && age < o.delay+24*time.Hour {
					o.zone[name] = "v=DKIM1; k=" + string(k.Algorithm) + "; p=" + keys[(i+1)%len(keys)].Public
				}
			}
		case models.DKIMRetired:
			delete(o.zone, name)
		}
	}
}

// receivers look keys up through a cache that keeps answers for a day, whatever happens.
type receivers struct {
	now   time.Time
	zone  map[string]string
	mu    sync.Mutex
	known map[string]cached
}

type cached struct {
	text  string
	until time.Time
}

func (r *receivers) txt(name string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.known[name]
	if !ok || !r.now.Before(c.until) {
		c = cached{r.zone[name], r.now.Add(24 * time.Hour)}
		r.known[name] = c
	}
	if c.text == "" {
		return nil, fmt.Errorf("no %s", name)
	}
	return []string{c.text}, nil
}

// TestAYearOfRotation lives a year in steps of 6 hours, with keys renewed every 60 days, for
// owners who publish at once, late, wrongly at first, and never. Every other day a message is signed;
// it must verify when it is sent, when it leaves after 5 days in the queue, and 7 days later.
func TestAYearOfRotation(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &memory{}
	k := NewKeeper(KeeperConfig{Records: m, Box: plainBox{}, Renew: 60 * 24 * time.Hour, Now: func() time.Time { return now }})
	k.config.Bits = 1024 // time
	s := NewSigner(SignerConfig{Keys: m, Box: plainBox{}, Now: func() time.Time { return now }})
	zone := map[string]string{}
	world := &receivers{zone: zone, known: map[string]cached{}}
	owners := []*owner{
		{name: "early.example", delay: 0}, {name: "late.example", delay: 25 * 24 * time.Hour},
		{name: "wrong.example", delay: 2 * 24 * time.Hour, typo: true}, {name: "never.example", delay: -1},
	}
	for i, o := range owners {
		o.zone = zone
		m.domains = append(m.domains, models.Domain{ID: models.ID(1000 + i), Name: o.name})
	}
	type sent struct {
		message string
		domain  string
		at      time.Time
	}
	var under []sent // way
	signed, verified := map[string]int{}, 0
	verify := func(x sent, when string) {
		world.now = now
		for _, err := range (ring{domain: x.domain}).verifyWith(t, x.message, world.txt) {
			if err != nil {
				t.Fatalf("%s: signed %v, %s: %v", x.domain, x.at, when, err)
			}
			verified++
		}
	}
	ctx := context.Background()
	for end := now.AddDate(1, 0, 0); now.Before(end); now = now.Add(6 * time.Hour) {
		for _, job := range []func(context.Context) (int64, error){k.Complete, k.Renew, k.Retire} {
			if _, err := job(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for i, o := range owners {
			keys, _ := m.Keys(ctx, models.ID(1000+i))
			seen := map[string]models.DNSVerdict{}
			for _, key := range keys { // as our check: the authoritative server and a resolver
				seen[key.Selector] = lookAt(zone, o.name, key)
			}
			if err := k.Seen(ctx, models.ID(1000+i), seen); err != nil {
				t.Fatal(err)
			}
			o.act(now, keys)
			if now.Hour() != 0 || now.YearDay()%2 != 0 {
				continue
			}
			text := strings.ReplaceAll(messages["plain"], "example.com", o.name)
			fields, err := s.Sign(ctx, o.name, 0, strings.NewReader(text), int64(len(text)))
			if err != nil {
				t.Fatal(err)
			}
			if fields != nil {
				signed[o.name]++
				x := sent{string(fields) + text, o.name, now}
				verify(x, "sent")
				under = append(under, x)
			}
		}
		for _, x := range under {
			switch now.Sub(x.at) {
			case 5 * 24 * time.Hour:
				verify(x, "after 5 days in the queue")
			case 7 * 24 * time.Hour:
				verify(x, "7 days later")
			case 12 * 24 * time.Hour:
				verify(x, "7 days after 5 in the queue")
			}
		}
		under = slices.DeleteFunc(under, func(x sent) bool { return now.Sub(x.at) > 12*24*time.Hour })
	}
	t.Logf("signed %v, %d signatures verified", signed, verified)
	if signed["early.example"] < 180 || signed["late.example"] < 165 || signed["wrong.example"] < 175 || signed["never.example"] != 0 {
		t.Errorf("days with a signature: %v", signed)
	}
	for i, o := range owners[:3] {
		keys, _ := m.Keys(ctx, models.ID(1000+i))
		retired, used := 0, map[string]bool{}
		for _, key := range keys {
			if used[key.Selector] {
				t.Errorf("%s: selector %s twice", o.name, key.Selector)
			}
			used[key.Selector] = true
			if key.State == models.DKIMRetired {
				retired++
				if key.Sealed != "" {
					t.Errorf("%s: the private part of %s is still there", o.name, key.Selector)
				}
			}
		}
		if retired < 6 {
			t.Errorf("%s: only %d keys retired", o.name, retired)
		}
	}
	if keys, _ := m.Keys(ctx, 1003); len(keys) != 2 {
		t.Errorf("never.example has %d keys: one of each waits", len(keys))
	}
}

func lookAt(zone map[string]string, domain string, k models.DKIMKey) models.DNSVerdict {
	switch zone[k.Selector+"._domainkey."+domain] {
	case "":
		return models.DNSMissing
	case Text(&k):
		return models.DNSOK
	}
	return models.DNSWrong
}

// TestKeysInTheDatabase moves keys through their lives in both databases.
func TestKeysInTheDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s, err := store.New(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := "example.com"
		domain := &models.Domain{ID: s.NewID(), CustomerID: 1, Name: name, ActiveName: &name, State: models.DomainActive}
		if err := s.InsertDomain(ctx, domain); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		k := NewKeeper(KeeperConfig{Records: s, Box: plainBox{}, Renew: 30 * 24 * time.Hour, Now: func() time.Time { return now }})
		k.config.Bits = 1024
		do := func(want int64, job func(context.Context) (int64, error)) {
			t.Helper()
			if n, err := job(ctx); n != want || err != nil {
				t.Fatalf("%d, %v; want %d", n, err, want)
			}
		}
		signing := func(want ...string) {
			t.Helper()
			keys, err := s.SigningKeys(ctx, name, 0)
			var got []string
			for _, key := range keys {
				got = append(got, key.Selector)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%v signs (%v), want %v", got, err, want)
			}
		}
		do(1, k.Complete)
		do(0, k.Complete)
		signing()
		seen := map[string]models.DNSVerdict{"p1r": models.DNSPending, "p1e": models.DNSOK}
		if err := k.Seen(ctx, domain.ID, seen); err != nil {
			t.Fatal(err)
		}
		signing("p1e")
		seen["p1r"] = models.DNSOK
		for range 2 {
			if err := k.Seen(ctx, domain.ID, seen); err != nil {
				t.Fatal(err)
			}
		}
		signing("p1r", "p1e")
		do(0, k.Renew)
		now = now.Add(31 * 24 * time.Hour)
		do(1, k.Renew)
		do(0, k.Renew)
		if err := k.Rotate(ctx, domain.ID); err != nil { // they wait already
			t.Fatal(err)
		}
		if keys, err := s.Keys(ctx, domain.ID); len(keys) != 4 || err != nil {
			t.Fatalf("%v %v", keys, err)
		}
		if err := k.Seen(ctx, domain.ID, map[string]models.DNSVerdict{"p2r": models.DNSOK, "p2e": models.DNSWrong}); err != nil {
			t.Fatal(err)
		}
		signing("p2r", "p1e")
		now = now.Add(time.Hour)
		if err := k.Seen(ctx, domain.ID, map[string]models.DNSVerdict{"p2e": models.DNSOK}); err != nil {
			t.Fatal(err)
		}
		signing("p2r", "p1e") // others may still know the wrong one
		now = now.Add(settle)
		if err := k.Seen(ctx, domain.ID, map[string]models.DNSVerdict{"p2e": models.DNSOK}); err != nil {
			t.Fatal(err)
		}
		signing("p2r", "p2e")
		now = now.Add(KeepPublished - time.Hour)
		do(1, k.Retire)
		now = now.Add(2 * time.Hour)
		do(1, k.Retire)
		do(0, k.Retire)
		keys, err := s.Keys(ctx, domain.ID)
		for _, key := range keys {
			if gone := key.State == models.DKIMRetired; gone != (key.Sealed == "") || gone != strings.HasPrefix(key.Selector, "p1") {
				t.Errorf("%+v", key)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		stale := keys[len(keys)-1]
		if err := s.UpdateKey(ctx, &stale, models.DKIMNext); !models.Is(err, models.Conflict) {
			t.Errorf("a change on an old state: %v", err)
		}
		if err := s.DeleteKeys(ctx, domain.ID); err != nil {
			t.Fatal(err)
		}
		signing()
	})
}
