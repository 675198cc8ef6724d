package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models/db/dbtest"
)

// postfix is Debian's Postfix in a folder of its own, at one loopback address.
type postfix struct {
	dir, etc string
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = /tmp
myhostname = mx.three.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
smtp_bind_address = 127.0.0.4
smtp_helo_name = mx.three.test
smtp_tls_security_level = encrypt
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/key.pem
smtpd_recipient_restrictions = check_recipient_access inline:{ { later@three.test = 450 4.2.0 Come back later } { never@three.test = 550 5.7.1 Not wanted here } },
 check_recipient_access texthash:%[1]s/access-rcpt, permit_mynetworks, reject_unauth_destination
smtpd_data_restrictions = check_recipient_access texthash:%[1]s/access-data
smtpd_end_of_data_restrictions = check_recipient_access texthash:%[1]s/access-end
smtpd_restriction_classes = dawdle
dawdle = sleep 4
virtual_mailbox_domains = three.test, four.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{ omid@three.test=omid/, later@three.test=later/, cut@four.test=cut/,
 rcpt4@three.test=rcpt4/, rcpt5@three.test=rcpt5/, rcptslow@three.test=rcptslow/, data4@three.test=data4/, data5@three.test=data5/,
 dataslow@three.test=dataslow/, end4@three.test=end4/, end5@three.test=end5/, endslow@three.test=endslow/ }
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
transport_maps = inline:{ one.test=smtp:[127.0.0.2]:%[2]d, two.test=smtp:[127.0.0.3]:%[2]d }
alias_maps =
alias_database =
`

// postfix starts one as mx.three.test.
func (w *world) postfix(t *testing.T) *postfix {
	t.Helper()
	skipUnlessRoot(t)
	dir, err := os.MkdirTemp("/tmp", "postchi-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{dir: dir, etc: filepath.Join(dir, "etc")}
	for _, name := range []string{"etc", "spool", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o755)
	for _, stage := range []string{"rcpt", "data", "end"} {
		p.access(t, stage, nil)
	}
	runProgram(t, "", "chown", "postfix", filepath.Join(dir, "data"))
	runProgram(t, "", "chown", "65534:65534", filepath.Join(dir, "mail"))
	runProgram(t, "", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.three.test",
		"-addext", "subjectAltName=DNS:mx.three.test", "-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "cert.pem"))
	write(t, filepath.Join(p.etc, "main.cf"), fmt.Sprintf(postfixMain, dir, w.port))
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^smtp      inet .*$`).ReplaceAllString(string(master), fmt.Sprintf("127.0.0.4:%d inet n - n - - smtpd", w.port))
	text = regexp.MustCompile(`(?m)^(\S+\s+unix\s+\S+\s+\S+\s+)y`).ReplaceAllString(text, "${1}n") // no chroot
	write(t, filepath.Join(p.etc, "master.cf"), text)
	runProgram(t, "", "postfix", "-c", p.etc, "start")
	t.Cleanup(func() {
		exec.Command("postfix", "-c", p.etc, "stop").Run()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Postfix:\n%s", tail(string(log), 4000))
		}
	})
	w.host("mx.three.test", "127.0.0.4")
	w.dns.Set("three.test. 60 IN MX 10 mx.three.test.", `three.test. 60 IN TXT "v=spf1 ip4:127.0.0.4 -all"`, `_dmarc.three.test. 60 IN TXT "v=DMARC1; p=reject; adkim=s; aspf=s"`)
	within(t, 10*time.Second, "Postfix answers", func() bool {
		c, err := dial(p.addr(w), "", nil)
		if err != nil {
			return false
		}
		defer c.Close()
		return c.answer().code == 220
	})
	return p
}

func (p *postfix) addr(w *world) string { return fmt.Sprintf("127.0.0.4:%d", w.port) }

// delivered is what lies in a mailbox there.
func (p *postfix) delivered(local string) (all [][]byte) {
	files, _ := filepath.Glob(filepath.Join(p.dir, "mail", local, "new", "*"))
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil {
			all = append(all, b)
		}
	}
	return all
}

func (p *postfix) arrival(t *testing.T, local string, words ...string) []byte {
	t.Helper()
	var found []byte
	within(t, 10*time.Second, fmt.Sprintf("%q with Postfix", words), func() bool {
		for _, m := range p.delivered(local) {
			if containsAll(string(m), words) {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// pythonDKIM verifies every signature of a message, or signs one, with python3-dkim; TXT
// records come from a file.
const pythonDKIM = `
import dkim, json, sys
txt = json.load(open(sys.argv[2]))
def dns(name, timeout=5):
    v = txt.get(name.decode().rstrip('.').lower())
    return v.encode() if v else None
m = open(sys.argv[3], 'rb').read()
if sys.argv[1] == 'verify':
    n = sum(1 for h in dkim.DKIM(m).headers if h[0].lower() == b'dkim-signature')
    print(json.dumps([bool(dkim.DKIM(m).verify(idx=i, dnsfunc=dns)) for i in range(n)]))
else:
    sys.stdout.buffer.write(dkim.sign(m, b'py', b'three.test', open(sys.argv[4], 'rb').read(), include_headers=[b'from', b'to', b'subject', b'date', b'message-id']))
`

func python(t *testing.T, txt map[string]string, message []byte, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	records, err := json.Marshal(txt)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "dns.json"), string(records))
	write(t, filepath.Join(dir, "message"), string(message))
	all := append([]string{"/usr/bin/python3", "-c", pythonDKIM, args[0], filepath.Join(dir, "dns.json"), filepath.Join(dir, "message")}, args[1:]...)
	return runProgram(t, "", all...)
}

// keysOf are the DKIM records that a server publishes for a domain.
func (in *instance) keysOf(t *testing.T, domain string) map[string]string {
	t.Helper()
	zone, _ := in.command("", "domain", "dns", domain, "--zone")
	txt := map[string]string{}
	for _, line := range zoneLines(zone) {
		if name, rest, ok := strings.Cut(line, " "); ok && strings.Contains(name, "._domainkey.") {
			var value string
			for _, part := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(rest, -1) {
				value += part[1]
			}
			txt[strings.ToLower(strings.TrimSuffix(name, "."))] = value
		}
	}
	return txt
}

// TestInteropPostfix exchanges mail with Debian's Postfix both ways over TLS; python3-dkim looks
// at our signatures and makes those that we look at.
func TestInteropPostfix(t *testing.T) {
	interop(t)
	w := newWorld(t)
	one, two := w.server("mx.one.test", "127.0.0.2", "sqlite", "POSTCHI_QUEUE_RETRY=1m"), w.server("mx.two.test", "127.0.0.3", dbtest.MySQL(t).URL)
	one.populate("one.test", "sara")
	two.populate("two.test", "omid")
	w.publish(one, "one.test")
	w.publish(two, "two.test")
	p := w.postfix(t)

	t.Run("to Postfix", func(t *testing.T) {
		for _, from := range []struct {
			in      *instance
			address string
		}{{one, "sara@one.test"}, {two, "omid@two.test"}} {
			from.in.send(t, from.address, "to postfix from "+from.address, "omid@three.test")
			m := p.arrival(t, "omid", "Subject: to postfix from "+from.address)
			if !strings.Contains(string(m), "with ESMTPS id") || !strings.Contains(string(m), "using TLSv1.3") {
				t.Errorf("without TLS:\n%.1500s", m)
			}
			domain := from.address[strings.Index(from.address, "@")+1:]
			if got := strings.TrimSpace(python(t, from.in.keysOf(t, domain), m, "verify")); got != "[true, true]" {
				t.Errorf("python3-dkim says %s of the signatures of %s in\n%.3000s", got, domain, m)
			}
		}
	})
	t.Run("from Postfix", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key.pem")
		runProgram(t, "", "openssl", "genrsa", "-traditional", "-out", key, "2048")
		public := runProgram(t, "", "openssl", "rsa", "-in", key, "-pubout")
		w.dns.SetTXT("py._domainkey.three.test.", "v=DKIM1; k=rsa; p="+strings.Join(strings.Split(strings.TrimSpace(public), "\n")[1:len(strings.Split(strings.TrimSpace(public), "\n"))-1], ""))
		signed := python(t, nil, message("omid@three.test", "from postfix", 900), "sign", key)
		whole := signed + string(message("omid@three.test", "from postfix", 900))
		for _, to := range []struct {
			in            *instance
			address, name string
		}{{one, "sara@one.test", "mx.one.test"}, {two, "omid@two.test", "mx.two.test"}} {
			c, err := dial(p.addr(w), "127.0.0.1", nil)
			if err != nil {
				t.Fatal(err)
			}
			c.answer()
			c.smtp("EHLO localhost")
			if a := c.submit("omid@three.test", []byte(whole), to.address); a.code != 250 {
				t.Fatal(a)
			}
			c.Close()
			got := results(t, to.in.arrival(t, to.address, "Subject: from postfix"), to.name)
			if !containsAll(got, []string{"spf=pass", "dkim=pass", "dmarc=pass", "iprev=pass"}) {
				t.Errorf("of mail from Postfix: %s", got)
			}
		}
	})
	t.Run("refused and later", func(t *testing.T) {
		one.send(t, "sara@one.test", "mixed", "never@three.test", "later@three.test", "omid@three.test")
		p.arrival(t, "omid", "Subject: mixed")
		bounce := one.arrival(t, "sara@one.test", "multipart/report", "never@three.test")
		if !containsAll(string(bounce), []string{"Status: 5.7.1", "Not wanted here"}) || strings.Contains(string(bounce), "later@three.test") {
			t.Errorf("%.4000s", bounce)
		}
		var rows []struct {
			Address string `json:"address"`
			Code    int    `json:"code"`
		}
		within(t, 5*time.Second, "one waits", func() bool {
			one.must(&rows, "", "queue", "list", "--domain", "three.test")
			return len(rows) == 1 && rows[0].Address == "later@three.test" && rows[0].Code == 450
		})
	})
	if n := len(p.delivered("omid")); n != 3 {
		t.Errorf("%d messages at Postfix, 3 were sent", n)
	}
}
