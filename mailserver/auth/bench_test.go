package auth

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
)

// benchWorld has Sara's password at the cost of the real server.
func benchWorld(b *testing.B, edit ...func(*Config)) *world {
	w := newWorld(b, append([]func(*Config){func(c *Config) { c.Cost = bcrypt.DefaultCost }}, edit...)...)
	w.compare = bcrypt.CompareHashAndPassword
	w.db.change(w.sara, func(a *models.Account) { a.Hash = hashOf(b, saraPassword, bcrypt.DefaultCost) })
	return w
}

func (w *world) mustLogin(b *testing.B) {
	if err := w.try("sara@example.com", saraPassword, home); err != nil {
		b.Fatal(err)
	}
}

// The yardstick of both that follow.
func BenchmarkCompare(b *testing.B) {
	hash := []byte(hashOf(b, saraPassword, bcrypt.DefaultCost))
	for b.Loop() {
		if bcrypt.CompareHashAndPassword(hash, []byte(saraPassword)) != nil {
			b.Fatal("no match")
		}
	}
}

func BenchmarkLoginFirst(b *testing.B) {
	w := benchWorld(b)
	for b.Loop() {
		w.cache = newCache(10, time.Minute)
		w.mustLogin(b)
	}
}

func BenchmarkLoginRepeated(b *testing.B) {
	w := benchWorld(b)
	w.mustLogin(b)
	for b.Loop() {
		w.mustLogin(b)
	}
}

func BenchmarkLoginRepeatedParallel(b *testing.B) {
	w := benchWorld(b)
	w.mustLogin(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.mustLogin(b)
		}
	})
}

// BenchmarkLoginStorm measures one good user, whose password is and is not cached, while 200
// clients send wrong passwords for names of their own as fast as they are answered: all from
// one network, from the good user's own, or from 200.
func BenchmarkLoginStorm(b *testing.B) {
	own := func(int) netip.Addr { return home }
	one := func(int) netip.Addr { return away }
	many := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }
	for _, storm := range []struct {
		name string
		from func(int) netip.Addr
	}{{"own", own}, {"one", one}, {"many", many}} {
		for _, cached := range []bool{true, false} {
			b.Run(fmt.Sprintf("networks=%s/cached=%v", storm.name, cached), func(b *testing.B) {
				w := benchWorld(b, func(c *Config) {
					c.Limits = Limits{WrongNetwork: 1 << 30, Wrong: 1 << 20, Free: 1 << 20} // the worst: nobody is blocked
				})
				w.mustLogin(b)
				stop := w.storm(200, storm.from)
				defer stop()
				var took []time.Duration
				for b.Loop() {
					if !cached {
						w.cache = newCache(10, time.Minute)
					}
					start := time.Now()
					w.mustLogin(b)
					took = append(took, time.Since(start))
					time.Sleep(5 * time.Millisecond)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			})
		}
	}
}

func (w *world) storm(n int, from func(int) netip.Addr) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				_, err := w.Login(ctx, Attempt{Kind: models.AccountMailbox, Protocol: models.ProtoIMAP, Remote: from(i),
					Name: fmt.Sprintf("name%d@example.com", i), Password: fmt.Sprint("guess ", k)})
				if models.Is(err, models.Unavailable) {
					time.Sleep(20 * time.Millisecond) // a client that is turned away has to connect again
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	return func() { cancel(); all.Wait() }
}
