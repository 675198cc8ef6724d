package pop3d_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// until polls until ok, for at most 10 s.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

func TestDeleteAndReset(t *testing.T) {
	d := start(t, saraHouse())
	c := d.login(t, sara, secret)
	c.say("DELE 2", "+OK")
	c.say("DELE 2", "-ERR")
	c.say("RETR 2", "-ERR")
	c.say("TOP 2 1", "-ERR")
	c.say("LIST 2", "-ERR")
	c.say("UIDL 2", "-ERR")
	c.say("STAT", "+OK 2 ")
	c.say("UIDL", "+OK")
	if got := c.body(); got != "1 42.1\r\n3 42.21\r\n" {
		t.Errorf("UIDL: %q", got)
	}
	c.say("RSET", "+OK 3 messages (131 octets)")
	c.say("STAT", "+OK 3 131")
	c.say("DELE 3", "+OK")
	c.say("QUIT", "+OK")
	if left := d.left(sara); !slices.Equal(left, []string{first, second}) {
		t.Errorf("left: %q", left)
	}
	again := d.login(t, sara, secret) // QUIT had given the lock back
	again.say("UIDL", "+OK")
	if got := again.body(); got != "1 42.1\r\n2 42.11\r\n" {
		t.Errorf("UIDL later: %q", got)
	}
}

func TestAbortedSessionLosesNothing(t *testing.T) {
	d := start(t, saraHouse())
	c := d.login(t, sara, secret)
	c.send("DELE 1", "DELE 2", "DELE 3", "QUI")
	c.want("+OK")
	c.Close()
	until(t, "the lock", func() bool { return d.open() == 0 })
	if left := d.left(sara); len(left) != 3 {
		t.Errorf("left: %q", left)
	}
}

func TestQuitIsFinishedWithoutTheClient(t *testing.T) {
	h := saraHouse()
	h.busy, h.goOn = make(chan struct{}, 1), make(chan struct{})
	d := start(t, h)
	c := d.login(t, sara, secret)
	c.say("DELE 1", "+OK")
	c.send("QUIT")
	until(t, "the removal to begin", func() bool { return len(h.busy) == 1 })
	c.Close()
	h.end(sara) // even a suspension leaves what was said
	close(h.goOn)
	until(t, "the removal", func() bool { return len(d.left(sara)) == 2 })
}

func TestFailedRemovalIsSaid(t *testing.T) {
	h := saraHouse()
	h.removeErr = models.Unavailablef(nil, "The database is away.")
	d := start(t, h)
	c := d.login(t, sara, secret)
	c.say("DELE 1", "+OK")
	c.say("QUIT", "-ERR [SYS/TEMP] Some deleted messages were not removed.")
	c.closed()
	if left := d.left(sara); len(left) != 3 {
		t.Errorf("left: %q", left)
	}
}

func TestLock(t *testing.T) {
	d := start(t, saraHouse())
	c := d.login(t, sara, secret)
	other := d.dialTLS(t)
	other.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "-ERR [IN-USE] Another program")
	c.say("QUIT", "+OK")
	other.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "+OK")
}

func TestMaildropThatCannotBeOpened(t *testing.T) {
	h := saraHouse()
	h.openErr = models.Unavailablef(nil, "The database is away.")
	d := start(t, h)
	c := d.dialTLS(t)
	c.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "-ERR [SYS/TEMP] The database is away.")
	if h.open() != 0 {
		t.Error("the session is counted")
	}
	h.set(func() { h.openErr = nil })
	c.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "+OK")
}

// TestModel plays random sessions and compares with a plain list.
func TestModel(t *testing.T) {
	h := newHouse()
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", i)))
	}
	h.person(sara, secret, want...)
	d := start(t, h)
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		c := d.login(t, sara, secret)
		deleted := map[int]bool{}
		for range random.IntN(12) {
			n := random.IntN(len(want)+2) + 1 // sometimes too high
			fine := n <= len(want) && !deleted[n]
			reply := map[bool]string{true: "+OK", false: "-ERR"}[fine]
			switch random.IntN(5) {
			case 0, 1:
				c.say(fmt.Sprintf("DELE %d", n), reply)
				if fine {
					deleted[n] = true
				}
			case 2:
				c.say(fmt.Sprintf("RETR %d", n), reply)
				if fine {
					if got := c.body(); got != want[n-1] {
						t.Fatalf("RETR %d: %q, want %q", n, got, want[n-1])
					}
				}
			case 3:
				if random.IntN(4) == 0 {
					c.say("RSET", "+OK")
					clear(deleted)
				}
			case 4:
				c.say("STAT", fmt.Sprintf("+OK %d %d", len(want)-len(deleted), sum(want, deleted)))
			}
		}
		if random.IntN(3) == 0 {
			c.Close()
			until(t, "the end of the session", func() bool { return d.open() == 0 })
		} else {
			c.say("QUIT", "+OK")
			var left []string
			for i, text := range want {
				if !deleted[i+1] {
					left = append(left, text)
				}
			}
			want = left
		}
		if got := d.left(sara); !slices.Equal(got, want) {
			t.Fatalf("the maildrop has %d messages, the model %d", len(got), len(want))
		}
	}
}

func sum(texts []string, without map[int]bool) (n int) {
	for i, text := range texts {
		if !without[i+1] {
			n += len(text)
		}
	}
	return n
}
