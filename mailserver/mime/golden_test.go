package mime

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the .golden files anew from what Build says")

// names returns the names of the messages in testdata.
func names(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 40 {
		t.Fatalf("testdata: %d messages, %v", len(files), err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".eml")
	}
	return files
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGolden compares what Build says of every message with its .golden file.
func TestGolden(t *testing.T) {
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			msg := readFile(t, name+".eml")
			got := describe(t, msg)
			file := name + ".golden"
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", file), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(readFile(t, file)); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestGoldenAgainstDovecot compares the .golden files with what Dovecot answered for the same messages. Every line that
// differs must be listed in dovecot-differences.md with its reason, and every line listed there must differ.
func TestGoldenAgainstDovecot(t *testing.T) {
	listed := differences(t)
	for _, name := range names(t) {
		ours := lines(string(readFile(t, name+".golden")))
		for key, theirs := range lines(string(readFile(t, name+".dovecot"))) {
			id := name + " " + key
			switch reason, ok := listed[id]; {
			case ours[key] != theirs && !ok:
				t.Errorf("%s: not listed\n   ours %s\ndovecot %s", id, ours[key], theirs)
			case ours[key] == theirs && ok:
				t.Errorf("%s: listed (%s) but equal", id, reason)
			}
			delete(listed, id)
		}
	}
	for id := range listed {
		t.Errorf("%s: listed but not recorded", id)
	}
}

var difference = regexp.MustCompile("(?m)^- `([^`]+)` (\\S+): (.+)$")

func differences(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, m := range difference.FindAllStringSubmatch(string(readFile(t, "dovecot-differences.md")), -1) {
		for _, key := range strings.Split(m[2], ",") {
			out[m[1]+" "+key] = m[3]
		}
	}
	return out
}

func lines(s string) map[string]string {
	out := map[string]string{}
	for _, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		key, value, _ := strings.Cut(l, " ")
		out[key] = value
	}
	return out
}

// describe renders all that Build says of a message, one fact per line.
func describe(t *testing.T, msg []byte) string {
	t.Helper()
	c, err := Build(bytes.NewReader(msg), int64(len(msg)))
	if err != nil {
		t.Fatal(err)
	}
	env, err := DecodeEnvelope(c.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	root, err := DecodeStructure(c.Structure)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s %s\n", key, value) }
	line("ENVELOPE", canonical(t, env.AppendIMAP(nil)))
	line("BODY", canonical(t, root.AppendBodyStructure(nil, false)))
	line("BODYSTRUCTURE", canonical(t, root.AppendBodyStructure(nil, true)))
	for _, s := range sections(root) {
		r, ok := root.Section(s.path, s.what)
		if !ok {
			t.Fatalf("section %s is gone", s.name)
		}
		line("BODY["+s.name+"]", digest(msg[r.Offset:r.Offset+r.Length]))
	}
	line("preview", strconv.Quote(c.Preview))
	line("subject", strconv.Quote(c.BaseSubject))
	line("sent", c.SentDate.Format(time.RFC3339))
	line("id", c.MessageID)
	line("thread", strconv.FormatInt(c.ThreadID, 16))
	line("references", strings.Join(c.References, " "))
	return b.String()
}

func digest(b []byte) string {
	return fmt.Sprintf("%d %x %q", len(b), sha256.Sum256(b), b[:min(len(b), 24)])
}

type sectionName struct {
	path []int
	what Section
	name string
}

// sections lists the sections that a message has, at most about 60.
func sections(root *Part) []sectionName {
	out := []sectionName{{nil, SectionHeader, "HEADER"}, {nil, SectionText, "TEXT"}}
	var walk func(path []int)
	walk = func(path []int) {
		for n := 1; len(out) < 60; n++ {
			at := append(append([]int(nil), path...), n)
			p := root.Find(at)
			if p == nil {
				return
			}
			name := strings.Trim(strings.ReplaceAll(fmt.Sprint(at), " ", "."), "[]")
			out = append(out, sectionName{at, SectionBody, name}, sectionName{at, SectionMIME, name + ".MIME"})
			if p.Message() {
				out = append(out, sectionName{at, SectionHeader, name + ".HEADER"}, sectionName{at, SectionText, name + ".TEXT"})
			}
			walk(at)
		}
	}
	walk(nil)
	return out
}

// canonical prints an IMAP value so that quoted strings and literals look alike.
func canonical(t *testing.T, b []byte) string {
	t.Helper()
	v, rest, err := parseValue(b)
	if err != nil || len(rest) > 0 {
		t.Fatalf("bad IMAP value: %v, left %q of %q", err, rest, b)
	}
	return v.String()
}
