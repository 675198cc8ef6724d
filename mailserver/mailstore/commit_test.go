package mailstore_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// What a cutter does with a COMMIT.
const (
	pass      = iota
	cutBefore // the server never hears of it
	cutDuring // the server gets it, nobody waits for its answer
	cutAfter  // the server has answered, the client does not hear of it
)

// cutter stands between the store and MariaDB and cuts connections at their COMMIT.
type cutter struct {
	ln     net.Listener
	server string
	decide func() int
	cuts   atomic.Int64
	conns  sync.WaitGroup
}

func newCutter(t *testing.T, server string, decide func() int) *cutter {
	dir, err := os.MkdirTemp("", "cut") // short: the path of a socket has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln, server: server, decide: decide}
	c.conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.conns.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); c.conns.Wait() })
	return c
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool // the next answer is the server's word on a COMMIT that is to be lost
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || mute.Load() {
				break
			}
			if _, err := client.Write(buf[:n]); err != nil {
				break
			}
		}
		client.Close()
	}()
	c.forward(client, server, &mute)
	if mute.Load() {
		<-done
	}
	server.Close()
	<-done
}

// forward passes packets on until one is to be cut.
func (c *cutter) forward(client, server net.Conn, mute *atomic.Bool) {
	in := bufio.NewReader(client)
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head)&0xffffff)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		what := pass
		if string(body) == "\x03COMMIT" {
			what = c.decide()
		}
		if what != pass {
			c.cuts.Add(1)
		}
		if what == cutBefore {
			return
		}
		if what == cutAfter {
			mute.Store(true)
		}
		if _, err := server.Write(append(head, body...)); err != nil || what != pass {
			return
		}
	}
}

// TestLostCommits cuts connections at COMMIT: nothing may be lost, nothing doubled, and what
// Deliver says must be true.
func TestLostCommits(t *testing.T) {
	config := dbtest.MySQL(t)
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	var on atomic.Bool
	cut := newCutter(t, q.Get("socket"), func() int {
		if !on.Load() || rand.IntN(3) > 0 {
			return pass
		}
		return cutBefore + rand.IntN(3)
	})
	q.Set("socket", cut.ln.Addr().String())
	u.RawQuery = q.Encode()
	direct := mailstoretest.Seg(t, config)
	config.URL = u.String()
	in := mailstoretest.Seg(t, config)

	mailbox := in.Mailbox(t)
	inbox, err := in.Store.Folder(context.Background(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	on.Store(true)
	var mu sync.Mutex
	said := map[models.ID]error{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for n := range 15 {
				a := in.Arrival(t, mailstoretest.Message(n, 300), mailbox)
				a.Targets[0].QuotaMessages = 1000
				err := in.Store.Deliver(context.Background(), a)
				mu.Lock()
				said[a.Blob.ID] = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	on.Store(false)

	rows, err := direct.Store.Messages(context.Background(), inbox.ID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	times := map[models.ID]int{}
	for _, m := range rows {
		times[m.BlobID]++
	}
	good := 0
	for id, err := range said {
		want := 0
		if err == nil {
			want = 1
			good++
		}
		if times[id] != want {
			t.Errorf("blob %d is there %d times; Deliver said %v", id, times[id], err)
		}
	}
	t.Logf("%d cuts, %d of %d delivered", cut.cuts.Load(), good, len(said))
	if cut.cuts.Load() == 0 {
		t.Error("no COMMIT was cut")
	}
	d, err := direct.Store.Recount(context.Background(), mailbox, false)
	if err != nil || d.Any() {
		t.Errorf("%+v %v", d, err)
	}
	refs, err := direct.Store.RecountBlobs(context.Background(), false)
	if err != nil || len(refs) > 0 {
		t.Errorf("%+v %v", refs, err)
	}
}
