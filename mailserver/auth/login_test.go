package auth

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
)

func TestLogin(t *testing.T) {
	long := strings.Repeat("p", 72)
	tests := []struct {
		what, name, password string
		kind                 models.AccountKind
		want                 models.Kind
		key                  string
		reason               string
		compared             int
	}{
		{"right", "sara@example.com", saraPassword, models.AccountMailbox, 0, "", "", 1},
		{"case and space", " SARA@Example.COM. ", saraPassword, models.AccountMailbox, 0, "", "", 1},
		{"U-label", "omid@ایران.example", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"wrong", "sara@example.com", "wrong", models.AccountMailbox, models.Denied, "login.denied", reasonBadPass, 1},
		{"empty password", "sara@example.com", "", models.AccountMailbox, models.Denied, "login.denied", reasonBadPass, 1},
		{"trimmed password", "sara@example.com", saraPassword + " ", models.AccountMailbox, models.Denied, "login.denied", reasonBadPass, 1},
		{"unknown", "nobody@example.com", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"tagged", "sara+x@example.com", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"no address", "a@b@[1.2.3.4]", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"injection", "' OR 1=1 --@example.com", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"bin", "bin@example.com", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonDeleted, 1},
		{"off", "off@example.com", saraPassword, models.AccountMailbox, models.Suspended, "login.suspended", reasonSuspended, 1},
		{"off without reason", "silent@example.com", saraPassword, models.AccountMailbox, models.Suspended, "login.suspended_bare", reasonSuspended, 1},
		{"off and wrong", "off@example.com", "wrong", models.AccountMailbox, models.Denied, "login.denied", reasonBadPass, 1},
		{"bare name", "sara", saraPassword, models.AccountMailbox, models.Denied, "login.noat", reasonNoAt, 0},
		{"no name", "", saraPassword, models.AccountMailbox, models.Denied, "login.noat", reasonNoAt, 0},
		{"long name", strings.Repeat("a", 320) + "@", saraPassword, models.AccountMailbox, models.Denied, "login.name", reasonName, 0},
		{"NUL in name", "sara@example.com\x00", saraPassword, models.AccountMailbox, models.Denied, "login.name", reasonName, 0},
		{"72 bytes", "sara@example.com", long, models.AccountMailbox, models.Denied, "login.denied", reasonBadPass, 1},
		{"73 bytes", "sara@example.com", long + "p", models.AccountMailbox, models.Denied, "login.toolong", reasonTooLong, 0},
		{"73 bytes in fewer letters", "sara@example.com", strings.Repeat("گ", 36) + "x", models.AccountMailbox, models.Denied, "login.toolong", reasonTooLong, 0},
		{"NUL", "sara@example.com", saraPassword + "\x00", models.AccountMailbox, models.Denied, "login.nul", reasonNUL, 0},
		{"user", "admin@localhost", saraPassword, models.AccountUser, 0, "", "", 1},
		{"user as mailbox", "admin@localhost", saraPassword, models.AccountMailbox, models.Denied, "login.denied", reasonUnknown, 1},
		{"mailbox as user", "sara@example.com", saraPassword, models.AccountUser, models.Denied, "login.denied", reasonUnknown, 1},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			w := newWorld(t)
			account, err := w.Login(context.Background(), Attempt{Kind: test.kind, Protocol: models.ProtoPOP3, Remote: home, Name: test.name, Password: test.password})
			wantKey(t, err, test.want, test.key)
			if (account == nil) != (err != nil) {
				t.Errorf("account %v with error %v", account, err)
			}
			if n := len(w.comparisons()); n != test.compared {
				t.Errorf("%d comparisons, want %d", n, test.compared)
			}
			if list := w.recorder.take(); len(list) != 1 || list[0].Reason != test.reason || list[0].OK != (err == nil) {
				t.Errorf("recorded %+v, want reason %q", list, test.reason)
			}
			if strings.Contains(w.log.String(), saraPassword) || (err != nil) != strings.Contains(w.log.String(), "log-in refused") {
				t.Errorf("log: %s", w.log)
			}
		})
	}
}

func TestLoginSuspendedTellsReason(t *testing.T) {
	w := newWorld(t)
	err := w.try("off@example.com", saraPassword, home)
	if e, ok := err.(*models.Error); !ok || e.Args["reason"] != "unpaid" || !strings.Contains(e.Msg, "unpaid") {
		t.Errorf("error %#v", err)
	}
}

// The first 72 bytes of a password and another tail: bcrypt alone would take it.
func TestLoginNeverCuts(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 72)
	w.db.change(w.sara, func(a *models.Account) { a.Hash = hashOf(t, long, bcrypt.MinCost) })
	wantKey(t, w.try("sara@example.com", long, home), 0, "")
	wantKey(t, w.try("sara@example.com", long+"y", home), models.Denied, "login.toolong")
}

func TestLoginDatabaseAway(t *testing.T) {
	w := newWorld(t)
	w.db.setAway(errAway)
	for range 30 { // is nobody's failure
		if err := w.try("sara@example.com", "wrong", home); !models.Is(err, models.Unavailable) {
			t.Fatalf("error %v", err)
		}
	}
	w.db.setAway(nil)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
}

func TestLoginUnreadableHash(t *testing.T) {
	for _, hash := range []string{"", "!", "{SSHA}abc", "$2a$99$" + strings.Repeat("a", 53)} {
		w := newWorld(t)
		w.db.change(w.sara, func(a *models.Account) { a.Hash = hash })
		wantKey(t, w.try("sara@example.com", "", home), models.Denied, "login.denied")
		if n := len(w.comparisons()); n != 1 {
			t.Errorf("%q: %d comparisons", hash, n)
		}
	}
}

// Whether a name exists must not show in the number or cost of comparisons, the first time or
// when the same is tried again, nor while a hash has a lower cost than new ones.
func TestLoginSameWorkForUnknownAndWrong(t *testing.T) {
	total := func(costs []int) (sum int) {
		for _, c := range costs {
			sum += 1 << c
		}
		return sum
	}
	for _, cost := range []int{4, 6} {
		w := newWorld(t, func(c *Config) { c.Cost = cost })
		for range 3 {
			var work []int
			for _, name := range []string{"sara@example.com", "nobody@example.com", "bin@example.com", "off@example.com"} {
				wantKey(t, w.try(name, "wrong", home), models.Denied, "login.denied")
				work = append(work, total(w.comparisons()))
			}
			if slices.Min(work) != slices.Max(work) {
				t.Errorf("cost %d: work %v", cost, work)
			}
		}
	}
}

func TestDummyHash(t *testing.T) {
	for _, cost := range []int{4, 5} {
		hash := dummyHash(cost)
		if got, err := bcrypt.Cost([]byte(hash)); err != nil || got != cost {
			t.Errorf("%s: cost %d, %v", hash, got, err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("")); err != bcrypt.ErrMismatchedHashAndPassword {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

func TestCache(t *testing.T) {
	w := newWorld(t)
	login := func(compared int) {
		t.Helper()
		wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
		if n := len(w.comparisons()); n != compared {
			t.Errorf("%d comparisons, want %d", n, compared)
		}
	}
	login(1)
	for range 4 { // each use renews the time
		w.clock.add(14 * time.Minute)
		login(0)
	}
	w.clock.add(15*time.Minute + time.Second)
	login(1)

	wantKey(t, w.try("sara@example.com", saraPassword+"x", home), models.Denied, "login.denied")
	wantKey(t, w.try("omid@example.com", saraPassword, home), models.Denied, "login.denied")
	w.comparisons()

	w.db.change(w.sara, func(a *models.Account) { a.LoginOff = true })
	wantKey(t, w.try("sara@example.com", saraPassword, home), models.Suspended, "login.suspended_bare")
	w.db.change(w.sara, func(a *models.Account) { a.LoginOff, a.Deleted = false, true })
	wantKey(t, w.try("sara@example.com", saraPassword, home), models.Denied, "login.denied")
	w.db.change(w.sara, func(a *models.Account) { a.Deleted = false })
	w.comparisons()
	login(0)

	w.db.change(w.sara, func(a *models.Account) { a.Hash = hashOf(t, "another one", bcrypt.MinCost) })
	wantKey(t, w.try("sara@example.com", saraPassword, home), models.Denied, "login.denied")
	wantKey(t, w.try("sara@example.com", "another one", home), 0, "")
}

func TestCacheForgetsTheOldest(t *testing.T) {
	c := newCache(2, time.Hour)
	now := time.Now()
	key := func(b byte) (s sum) { s[0] = b; return s }
	c.add(key(1), now)
	c.add(key(2), now)
	c.has(key(1), now)
	c.add(key(3), now)
	if !c.has(key(1), now) || c.has(key(2), now) || !c.has(key(3), now) {
		t.Error("not the one used longest ago")
	}
}

// A password that is changed while an attempt waits is checked against the new hash.
func TestLoginPasswordChangedMeanwhile(t *testing.T) {
	w := newWorld(t)
	other := hashOf(t, "another one", bcrypt.MinCost)
	again := hashOf(t, saraPassword, bcrypt.MinCost)
	replaceDuring := func(hash string) {
		w.compare = func(h, p []byte) error {
			w.compare = w.counted
			defer w.db.change(w.sara, func(a *models.Account) { a.Hash = hash })
			return bcrypt.CompareHashAndPassword(h, p)
		}
	}
	replaceDuring(other)
	wantKey(t, w.try("sara@example.com", saraPassword, home), models.Denied, "login.denied")
	w.db.change(w.sara, func(a *models.Account) { a.Hash = w.sara.Hash })
	replaceDuring(again)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	w.db.change(w.sara, func(a *models.Account) { a.Hash = w.sara.Hash })
	w.cache = newCache(10, time.Minute)
	w.compare = func(h, p []byte) error {
		w.compare = w.counted
		defer w.db.change(w.sara, func(a *models.Account) { a.LoginOff = true })
		return bcrypt.CompareHashAndPassword(h, p)
	}
	wantKey(t, w.try("sara@example.com", saraPassword, home), models.Suspended, "login.suspended_bare")
}

func TestHash(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Cost = 5 })
	hash, err := w.Hash(context.Background(), strings.Repeat("x", 72))
	if err != nil {
		t.Fatal(err)
	}
	if cost, _ := bcrypt.Cost([]byte(hash)); cost != 5 || bcrypt.CompareHashAndPassword([]byte(hash), []byte(strings.Repeat("x", 72))) != nil {
		t.Errorf("hash %s", hash)
	}
	_, err = w.Hash(context.Background(), strings.Repeat("x", 73))
	wantKey(t, err, models.Invalid, "password.long")
	_, err = w.Hash(context.Background(), "a\x00b")
	wantKey(t, err, models.Invalid, "password.nul")
}

func TestRehash(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Cost = 6 })
	w.run()
	info := SessionInfo{Account: &w.sara, Remote: home}
	sess, err := w.Open(info, func(e *models.Error) { t.Errorf("ended: %v", e) })
	if err != nil {
		t.Fatal(err)
	}
	defer sess.Close()
	wantKey(t, w.try("sara@example.com", "wrong", home), models.Denied, "login.denied")
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	until(t, "rehash", func() bool {
		a, _ := w.db.AccountByID(context.Background(), models.AccountMailbox, 1)
		cost, _ := bcrypt.Cost([]byte(a.Hash))
		return cost == 6 && bcrypt.CompareHashAndPassword([]byte(a.Hash), []byte(saraPassword)) == nil
	})
	until(t, "the new hash in the cache", func() bool {
		w.comparisons()
		wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
		return len(w.comparisons()) == 0
	})
	if err := w.recheck(context.Background(), keyOf(&w.sara)); err != nil { // must not end the session
		t.Fatal(err)
	}
	if list := w.Live(1); len(list) != 1 || list[0].Account.Hash != "" {
		t.Errorf("live: %+v", list)
	}
}
