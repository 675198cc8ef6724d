package delivery

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestLostCommitsOfMixedEnvelopes cuts connections at COMMIT while messages go to a mailbox and
// to the queue at once: both have a message or neither, once, and what Accept says is true.
func TestLostCommitsOfMixedEnvelopes(t *testing.T) {
	plain := dbtest.MySQL(t)
	var on atomic.Bool
	config, cutter := dbtest.NewCutter(t, plain, dbtest.EveryThird(&on))
	limits := models.SendingLimits{MailboxHour: 1_000_000}
	direct := newWorld(t, plain, limits)
	direct.populate()
	w := newWorld(t, config, limits)
	e := Envelope{Sender: parse(t, "sara@example.com"), Account: w.account("sara"), Recipients: []Recipient{
		{Route: outside(parse(t, "x@out.test"), models.RemoteDirect)}, {Route: outside(parse(t, "y@out.test"), models.RemoteDirect)},
	}}
	r, err := w.Route(t.Context(), parse(t, "omid@example.com"), Asked{})
	w.ok(err)
	e.Recipients = append(e.Recipients, Recipient{Route: r})

	on.Store(true)
	var mu sync.Mutex
	said := map[string]error{}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for n := range 15 {
				id := fmt.Sprintf("%d.%d@example.com", i, n)
				err := w.Accept(t.Context(), e, strings.NewReader("Message-ID: <"+id+">\r\n\r\nbody\r\n"))
				mu.Lock()
				said[id] = err
				mu.Unlock()
			}
		})
	}
	all.Wait()
	on.Store(false)

	here, queued := direct.ids("SELECT c.message_id FROM messages m JOIN contents c ON c.blob_id = m.blob_id"), direct.ids("SELECT message_id FROM queue")
	good := 0
	for id, err := range said {
		want := 0
		if err == nil {
			want = 1
			good++
		} else if !models.KindOf(err).Temporary() {
			t.Errorf("%s: %v", id, err)
		}
		if here[id] != want || queued[id] != want {
			t.Errorf("%s is here %d times and in the queue %d times; Accept said %v", id, here[id], queued[id], err)
		}
	}
	if n := direct.count("SELECT COUNT(*) FROM queue_recipients"); n != int64(2*good) {
		t.Errorf("%d recipients of %d messages", n, good)
	}
	if n := direct.count("SELECT recipients FROM limits_used WHERE period = 'hour' AND subject_id = ?", e.Account.ID); n != int64(2*good) {
		t.Errorf("%d recipients are counted for %d messages", n, good)
	}
	direct.exact()
	t.Logf("%d cuts before, %d within, %d during, %d after COMMIT; %d of %d accepted",
		cutter.Cuts(dbtest.CutBefore), cutter.Cuts(dbtest.CutWithin), cutter.Cuts(dbtest.CutDuring), cutter.Cuts(dbtest.CutAfter), good, len(said))
}

// ids counts the values of a query's one column.
func (w *world) ids(query string) map[string]int {
	w.t.Helper()
	rows, err := w.DB.SQL().QueryContext(w.ctx, query)
	w.ok(err)
	defer rows.Close()
	n := map[string]int{}
	for rows.Next() {
		var id string
		w.ok(rows.Scan(&id))
		n[id]++
	}
	w.ok(rows.Err())
	return n
}
