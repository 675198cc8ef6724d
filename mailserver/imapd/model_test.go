package imapd_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// mirror is what one client knows of its folder from what it was told alone.
type mirror struct {
	*client
	folder string
	ledger *ledger
	uids   []uint32 // by message number; 0 = not asked yet
	fault  string
}

// take follows an untagged response.
func (m *mirror) take(line string, noExpunge bool) {
	words := strings.Fields(line)
	if len(words) < 3 || m.fault != "" {
		return
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return
	}
	switch words[2] {
	case "EXISTS":
		if n < len(m.uids) {
			m.fault = fmt.Sprintf("%s after %d", line, len(m.uids))
			return
		}
		m.uids = append(m.uids, make([]uint32, n-len(m.uids))...)
	case "EXPUNGE":
		if noExpunge || n < 1 || n > len(m.uids) {
			m.fault = fmt.Sprintf("%s among %d, while numbers are in use: %v", line, len(m.uids), noExpunge)
			return
		}
		m.uids = slices.Delete(m.uids, n-1, n)
	case "FETCH":
		if n < 1 || n > len(m.uids) {
			m.fault = fmt.Sprintf("%s among %d", line, len(m.uids))
			return
		}
		if len(words) > 4 && words[3] == "(UID" {
			uid, _ := strconv.ParseUint(strings.TrimSuffix(words[4], ")"), 10, 32)
			if old := m.uids[n-1]; old != 0 && old != uint32(uid) {
				m.fault = fmt.Sprintf("message %d was UID %d and is %d", n, old, uid)
			}
			m.uids[n-1] = uint32(uid)
		}
	}
}

// run sends a command and follows what is told.
func (m *mirror) run(command string) string {
	numbers := false
	for _, w := range []string{"FETCH", "STORE", "SEARCH"} {
		numbers = numbers || strings.HasPrefix(command, w)
	}
	untagged, tagged := m.do(command)
	words := strings.Fields(command)
	for _, line := range append(slices.Clone(untagged), tagged) {
		if fault := m.ledger.given(words, line); fault != "" && m.fault == "" {
			m.fault = fault
		}
	}
	for _, line := range untagged {
		m.take(line, numbers)
	}
	return tagged
}

// ledger is what all sessions together have been told of UIDs: each is given once.
type ledger struct {
	mu   sync.Mutex
	uids map[string]bool // "folder uid"
}

var givenUIDs = regexp.MustCompile(`\[(?:APPENDUID \d+|COPYUID \d+ [0-9:,]+) ([0-9:,]+)\]`)

// given enters the UIDs that a response tells to an APPEND, COPY or MOVE.
func (l *ledger) given(command []string, line string) (fault string) {
	m := givenUIDs.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	folder := command[len(command)-1]
	if command[0] == "APPEND" {
		folder = command[1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range strings.SplitSeq(m[1], ",") {
		first, last, found := strings.Cut(part, ":")
		if !found {
			last = first
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for u := from; u <= to; u++ {
			key := folder + " " + itoa(u)
			if l.uids[key] {
				fault = "given twice: " + key
			}
			l.uids[key] = true
		}
	}
	return fault
}

// watchCounters looks again and again that modseq and UIDNEXT of a folder only grow.
func watchCounters(t *testing.T, h *house, folder string, stop chan struct{}) {
	var before mailstore.Folder
	for {
		f, err := h.Store.Folder(t.Context(), h.box.ID, folder)
		if err != nil {
			t.Error(err)
			return
		}
		if f.HighestModSeq < before.HighestModSeq || f.UIDNext < before.UIDNext || before.UIDValidity != 0 && f.UIDValidity != before.UIDValidity {
			t.Errorf("%s went back from %+v to %+v", folder, before, f)
		}
		before = *f
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (m *mirror) choose(r *rand.Rand) string {
	m.folder = []string{"INBOX", "Archive"}[r.IntN(2)]
	m.uids = nil
	m.run("SELECT " + m.folder)
	return m.folder
}

// step does something at random.
func (m *mirror) step(r *rand.Rand) {
	n := len(m.uids)
	set := "1:*"
	if n > 0 {
		a := 1 + r.IntN(n)
		set = fmt.Sprintf("%d:%d", a, min(n, a+r.IntN(3)))
	}
	other := map[string]string{"INBOX": "Archive", "Archive": "INBOX"}[m.folder]
	var tagged string
	switch r.IntN(11) {
	case 0, 1, 2:
		text := message(r.IntN(1000))
		tagged = m.run(fmt.Sprintf("APPEND %s {%d+}\r\n%s", m.folder, len(text), text))
	case 3:
		tagged = m.run("STORE " + set + ` +FLAGS (\Deleted)`)
	case 4:
		tagged = m.run("STORE " + set + ` FLAGS.SILENT (\Seen word` + itoa(r.IntN(5)) + ")")
	case 5:
		tagged = m.run("EXPUNGE")
	case 6:
		tagged = m.run("COPY " + set + " " + other)
	case 7:
		tagged = m.run("MOVE " + set + " " + other)
	case 8:
		tagged = m.run("FETCH 1:* (UID FLAGS)")
	case 9:
		tagged = m.run("NOOP")
	case 10:
		m.choose(r)
	}
	if strings.HasPrefix(tagged, "BAD") && m.fault == "" {
		m.fault = "a command with numbers we were told of is " + tagged
	}
}

func message(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.org\r\nSubject: message %d\r\n\r\n%s\r\n", n, strings.Repeat("x", n))
}

// TestModel lets sessions of two processes work on the same folders while mail is delivered
// and removed by others. Each holds the server to what it has been told; at the end all agree
// with the store, whose counters are exact.
func TestModel(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		h := open(t, config)
		box := h.mailbox(t)
		houses := []*house{h, open(t, config)}
		var mirrors []*mirror
		var wg, watching sync.WaitGroup
		told, stop := &ledger{uids: map[string]bool{}}, make(chan struct{})
		for _, folder := range []string{"INBOX", "Archive"} {
			watching.Go(func() { watchCounters(t, h, folder, stop) })
		}
		for i := range 6 {
			m := &mirror{client: houses[i%2].login(t), ledger: told}
			mirrors = append(mirrors, m)
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				m.choose(r)
				for range 60 {
					if m.step(r); m.fault != "" {
						return
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 40 {
				h.Deliver(t, message(i), box.ID)
			}
		})
		wg.Go(func() { removeAsPOP3(t, houses[1], box.ID) })
		wg.Wait()
		close(stop)
		watching.Wait()
		agree(t, h, mirrors)
		drift, err := h.Store.Recount(t.Context(), box.ID, false)
		if err != nil || drift.Any() {
			t.Errorf("recount: %+v, %v", drift, err)
		}
	})
}

// removeAsPOP3 removes the oldest messages now and then.
func removeAsPOP3(t *testing.T, h *house, box models.ID) {
	f, err := h.Store.Folder(t.Context(), box, "INBOX")
	if err != nil {
		t.Error(err)
		return
	}
	for range 15 {
		uids, err := h.Store.UIDs(t.Context(), f.ID, 1, 2)
		if err == nil {
			_, err = h.Store.Expunge(t.Context(), f.Place(), mailstore.SetOf(uids...), false)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// agree compares what each session knows with the store, once it has heard of everything.
func agree(t *testing.T, h *house, mirrors []*mirror) {
	t.Helper()
	for i, m := range mirrors {
		if m.fault != "" {
			t.Errorf("session %d: %s", i, m.fault)
			continue
		}
		f, err := h.Store.Folder(t.Context(), h.box.ID, m.folder)
		if err != nil {
			t.Fatal(err)
		}
		want, err := h.Store.UIDs(t.Context(), f.ID, 1, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for m.run("NOOP"); len(m.uids) != len(want) && time.Now().Before(deadline); m.run("NOOP") {
			time.Sleep(10 * time.Millisecond)
		}
		m.run("FETCH 1:* (UID FLAGS)")
		got := make([]mailstore.UID, len(m.uids))
		for k, u := range m.uids {
			got[k] = mailstore.UID(u)
		}
		if m.fault != "" || !slices.Equal(got, want) {
			t.Errorf("session %d: %s\ngot  %v\nwant %v", i, m.fault, got, want)
		}
	}
}
