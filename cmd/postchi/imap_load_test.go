package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// folders are those a keeper works in.
var folders = [2]string{"Archive", "Drafts"}

// kept is where a message is, and how.
type kept struct {
	folder  int
	uid     int64
	flagged bool
}

// keeper appends, flags and moves messages in a mailbox of its own by IMAP until it is stopped,
// through whatever happens to the server. What was tagged OK is in its books; each time it
// comes back it compares them with what is there. Of the one command that was under way either
// state is right.
type keeper struct {
	in       *instance
	address  string
	stopped  chan struct{}
	running  sync.WaitGroup
	random   *rand.Rand
	messages map[int]kept // by number
	next     int
	highest  [2]int64 // UIDs that were given, by folder: none is given again

	// The command under way: what it makes of a message. doubt is 0 between commands.
	doubt   int
	becomes kept

	done   map[string]int // tagged OK
	broken int            // commands whose answer was not heard
	took   int            // of those, carried out
	faults []string
}

// startKeeper begins; the mailbox must be empty.
func (in *instance) startKeeper(address string) *keeper {
	k := &keeper{in: in, address: address, stopped: make(chan struct{}), random: rand.New(rand.NewPCG(rand.Uint64(), 0)), messages: map[int]kept{}, done: map[string]int{}}
	k.running.Go(func() {
		for !k.over() {
			if err := k.session(); err != nil {
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	in.t.Cleanup(k.stop)
	return k
}

func (k *keeper) over() bool {
	select {
	case <-k.stopped:
		return true
	default:
		return false
	}
}

func (k *keeper) stop() {
	if !k.over() {
		close(k.stopped)
	}
	k.running.Wait()
}

func (k *keeper) fault(format string, args ...any) {
	k.faults = append(k.faults, fmt.Sprintf(format, args...))
}

// session works until the connection breaks.
func (k *keeper) session() error {
	c, err := k.in.dialIMAP(k.address, testPassword)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := k.audit(c); err != nil {
		return err
	}
	for !k.over() {
		if err := k.step(c); err != nil {
			return err
		}
	}
	return nil
}

// step gives one command.
func (k *keeper) step(c *talk) error {
	numbers := make([]int, 0, len(k.messages))
	for n := range k.messages {
		numbers = append(numbers, n)
	}
	choice := k.random.IntN(3)
	if choice == 0 || len(numbers) < 10 {
		return k.append(c)
	}
	n := numbers[k.random.IntN(len(numbers))]
	m := k.messages[n]
	if _, _, err := c.imap("SELECT %s", folders[m.folder]); err != nil {
		return err
	}
	if choice == 1 {
		sign := "+"
		if m.flagged {
			sign = "-"
		}
		after := m
		after.flagged = !m.flagged
		return k.do(c, "STORE", n, after, "UID STORE %d %sFLAGS.SILENT (\\Flagged)", m.uid, sign)
	}
	after := kept{folder: 1 - m.folder, flagged: m.flagged}
	return k.do(c, "MOVE", n, after, "UID MOVE %d %s", m.uid, folders[after.folder])
}

func (k *keeper) append(c *talk) error {
	k.next++
	text := numbered(k.next) + strings.Repeat("more of it\r\n", k.random.IntN(280)) // 4 KiB at most: LITERAL-
	after := kept{folder: k.random.IntN(2)}
	return k.do(c, "APPEND", k.next, after, "APPEND %s {%d+}\r\n%s", folders[after.folder], len(text), text)
}

var givenUID = regexp.MustCompile(`\[(?:APPENDUID \d+|COPYUID \d+ \d+) (\d+)\]`)

// do gives a command that makes something of a message. Its error is that of the connection.
func (k *keeper) do(c *talk, name string, number int, after kept, format string, args ...any) error {
	k.doubt, k.becomes = number, after
	untagged, tagged, err := c.imap(format, args...)
	if err != nil {
		k.broken++
		return err
	}
	k.doubt = 0
	if !strings.HasPrefix(tagged, "OK") {
		k.fault("%s: %s", name, tagged)
		return nil
	}
	k.done[name]++
	if m := givenUID.FindStringSubmatch(strings.Join(untagged, " ") + tagged); m != nil {
		after.uid, _ = strconv.ParseInt(m[1], 10, 64)
		if after.uid <= k.highest[after.folder] {
			k.fault("%s gave UID %d again", name, after.uid)
		}
		k.highest[after.folder] = after.uid
	} else if name != "STORE" {
		k.fault("%s without a UID: %s", name, tagged)
	}
	k.messages[number] = after
	return nil
}

// audit compares what is there with the books, and takes over what was in doubt.
func (k *keeper) audit(c *talk) error {
	there := map[int]kept{}
	for i, folder := range folders {
		if _, tagged, err := c.imap("EXAMINE %s", folder); err != nil || !strings.HasPrefix(tagged, "OK") {
			return fmt.Errorf("EXAMINE: %s, %w", tagged, err)
		}
		lines, tagged, err := c.imap("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
		if err != nil || !strings.HasPrefix(tagged, "OK") {
			return fmt.Errorf("FETCH: %s, %w", tagged, err)
		}
		for _, line := range lines {
			k.found(there, i, line)
		}
	}
	for n, m := range k.messages {
		if got, ok := there[n]; !ok || !same(got, m) && (k.doubt != n || !same(got, k.becomes)) {
			k.fault("message %d is %+v (there: %v), want %+v", n, got, ok, m)
		}
	}
	for n := range there {
		if _, known := k.messages[n]; !known && k.doubt != n {
			k.fault("message %d is there and was never sent", n)
		}
	}
	if k.doubt != 0 {
		if got, ok := there[k.doubt]; ok && same(got, k.becomes) {
			k.took++
		}
	}
	k.messages, k.doubt = there, 0
	return nil
}

// same compares but for UIDs that were not heard.
func same(a, b kept) bool {
	return a.folder == b.folder && a.flagged == b.flagged && (a.uid == b.uid || a.uid == 0 || b.uid == 0)
}

var fetched = regexp.MustCompile(`(?s)UID (\d+) .*Subject: number (\d+)`)

// found enters a response of FETCH.
func (k *keeper) found(there map[int]kept, folder int, line string) {
	m := fetched.FindStringSubmatch(line)
	if m == nil {
		return
	}
	uid, _ := strconv.ParseInt(m[1], 10, 64)
	n, _ := strconv.Atoi(m[2])
	if other, twice := there[n]; twice {
		k.fault("message %d is there twice: %+v and UID %d in %s", n, other, uid, folders[folder])
	}
	there[n] = kept{folder, uid, strings.Contains(line, `\Flagged`)}
	k.highest[folder] = max(k.highest[folder], uid)
}

// verify compares a last time.
func (k *keeper) verify(t testing.TB) {
	t.Helper()
	k.stop()
	c := k.in.imapTalk(t, k.address, testPassword)
	if err := k.audit(c); err != nil {
		t.Fatal(err)
	}
	for _, f := range k.faults {
		t.Errorf("%s: %s", k.address, f)
	}
	for _, name := range []string{"APPEND", "STORE", "MOVE"} {
		if k.done[name] == 0 {
			t.Errorf("%s: no %s was carried out", k.address, name)
		}
	}
	t.Logf("%s: %d APPEND, %d STORE, %d MOVE tagged OK and there, %d messages; %d commands without an answer, %d of them carried out",
		k.address, k.done["APPEND"], k.done["STORE"], k.done["MOVE"], len(k.messages), k.broken, k.took)
}
