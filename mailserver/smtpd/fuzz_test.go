package smtpd

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// FuzzDialogue sends anything to an MX: it must not panic, must answer in the form of SMTP, and
// must deliver nothing that has a bare line end in it or is for somebody else.
func FuzzDialogue(f *testing.F) {
	for _, seed := range []string{
		"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<sara@example.com>\r\nDATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<sara@example.com>\r\nBDAT 5\r\n\r\nx\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<sara@example.com>\r\nBDAT 5\r\n\r\nx\r\nRSET\r\nMAIL FROM:<>\r\nBDAT 3 LAST\r\nabcVRFY x\r\n",
		"HELO x\r\nMAIL FROM:<a@b.c> SIZE=99999999999\r\nSTARTTLS\r\nAUTH PLAIN AAAA\r\nGET / HTTP/1.1\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<\"a\\\"b\"@example.com> x=y\r\nDATA\r\na\nb\r\n.\r\n",
	} {
		f.Add([]byte(seed))
	}
	r := &rig{accounts: newAccounts(), post: &post{}, trail: &trail{}}
	panics := make(chan struct{}, 100)
	server, err := New(Config{
		Mode: ModeMX, Hostname: "mail.example.net", TLS: serverTLS(), Delivery: r.post, Events: r.trail, MaxMessage: 4096,
		IDs: models.NewIDs(1, nil), SpoolDir: f.TempDir(), Panicked: func() { panics <- struct{}{} }, silence: 10 * time.Millisecond,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { server.Shutdown(context.Background()) })
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		ours.SetDeadline(time.Now().Add(10 * time.Second))
		server.begin(newWire(server, theirs))
		go func() {
			ours.Write(in)
			io.WriteString(ours, "\r\n.\r\nRSET\r\nQUIT\r\n")
			time.Sleep(20 * time.Millisecond)
			ours.Close()
		}()
		lines := bufio.NewScanner(ours)
		for lines.Scan() {
			line := lines.Text()
			if len(line) < 4 || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' {
				if strings.Contains(string(in), "STARTTLS") || strings.Contains(strings.ToUpper(string(in)), "STARTTLS") {
					break // what follows is TLS
				}
				t.Fatalf("%q answered with %q", in, line)
			}
		}
		ours.Close()
		select {
		case <-panics:
			t.Fatalf("%q panics", in)
		default:
		}
		r.post.mu.Lock()
		defer r.post.mu.Unlock()
		for _, m := range r.post.all {
			if strings.ContainsAny(strings.ReplaceAll(m.text, "\r\n", ""), "\r\n\x00") {
				t.Fatalf("%q delivered %q", in, m.text)
			}
			for _, to := range m.Recipients {
				if box := to.Local[0].Mailbox; len(to.Remote) > 0 || box != sara && box != omid && !strings.HasPrefix(box, "bulk") {
					t.Fatalf("%q delivered to %+v", in, to)
				}
			}
		}
		r.post.all = nil
		r.trail.mu.Lock()
		defer r.trail.mu.Unlock()
		r.trail.all = nil
	})
}
