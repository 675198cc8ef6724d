package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// parser returns a parser at the beginning of a command, and counts the continuations.
func parser(t testing.TB, text string, limits Limits) (*Parser, *Input, *int) {
	t.Helper()
	in := &Input{Src: strings.NewReader(text)}
	asked := 0
	p := &Parser{Continue: func() error { asked++; return nil }}
	if err := p.Begin(in, limits); err != nil {
		t.Fatal(err)
	}
	return p, in, &asked
}

func parse[T any](t testing.TB, text string, fn func(*Parser) T) (T, error) {
	t.Helper()
	p, _, _ := parser(t, text+"\r\n", AfterLogin)
	v := fn(p)
	p.End()
	return v, p.Err()
}

func TestStrings(t *testing.T) {
	for text, want := range map[string]string{
		"abc": "abc", `"a b"`: "a b", `"a\"\\b"`: `a"\b`, `""`: "", "{3}\r\na\"b": `a"b`, "{3+}\r\nabc": "abc", "{0}\r\n": "", "INBOX]": "INBOX]",
		`"سلام"`: "سلام",
	} {
		got, err := parse(t, text, (*Parser).AString)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "(", `"abc`, `"a\b"`, "{3", "{x}", "{3}x", "{-1}\r\n", "{99999999999999999999}\r\n", "{1}\r\n\x00", "\"\xff\""} {
		if got, err := parse(t, text, (*Parser).AString); !IsSyntax(err) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestNoContinuationForARefusedLiteral(t *testing.T) {
	p, in, asked := parser(t, "a LOGIN {9000}\r\nb NOOP\r\n", BeforeLogin)
	p.Tag()
	p.SP()
	p.Word()
	p.SP()
	p.AString()
	var e *SyntaxError
	if !errors.As(p.Err(), &e) || e.Code != "TOOBIG" || *asked != 0 {
		t.Fatalf("%v, asked %d times", p.Err(), *asked)
	}
	if err := p.Skip(); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(in, BeforeLogin); err != nil || p.Tag() != "b" {
		t.Errorf("the next command is lost: %v", err)
	}
}

func TestSkip(t *testing.T) {
	p, in, _ := parser(t, "a FOO {5+}\r\nx\r\ny\r {3+}\r\nabc\r\nb NOOP\r\n", AfterLogin)
	p.Tag()
	p.Fail("no such command")
	if err := p.Skip(); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(in, AfterLogin); err != nil || p.Tag() != "b" {
		t.Errorf("the next command is lost: %v", err)
	}
	p, _, _ = parser(t, "a FOO {2000000+}\r\n", AfterLogin)
	p.Fail("no")
	if err := p.Skip(); !errors.Is(err, ErrSkip) {
		t.Errorf("a long literal: %v", err)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", BeforeLogin.Line)
	if _, err := (&Input{Src: strings.NewReader(long + "\r\n")}).Line(BeforeLogin.Line - 1); !errors.Is(err, ErrLine) {
		t.Errorf("one byte too many: %v", err)
	}
	if line, err := (&Input{Src: strings.NewReader(long + "\r\n")}).Line(BeforeLogin.Line + 1); err != nil || string(line) != long {
		t.Errorf("a line that fits: %d bytes, %v", len(line), err)
	}
}

func TestSets(t *testing.T) {
	for text, want := range map[string]Set{
		"1": {Ranges: []Range{{1, 1}}}, "*": {Ranges: []Range{{0, 0}}}, "5:3,7": {Ranges: []Range{{5, 3}, {7, 7}}},
		"1:*": {Ranges: []Range{{1, 0}}}, "*:4": {Ranges: []Range{{0, 4}}}, "$": {Saved: true},
	} {
		got, err := parse(t, text, (*Parser).Set)
		if err != nil || !reflect.DeepEqual(got, want) || got.String() != text {
			t.Errorf("%s: %+v %s, %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "0", "1:", "1,,2", ",1", "1:2:3", "4294967296", "a", "$,1", "1,$"} {
		if got, err := parse(t, text, (*Parser).Set); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestUTF7(t *testing.T) {
	for encoded, text := range map[string]string{
		"INBOX": "INBOX", "R&-D": "R&D", "~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語", "&2D3eBA-": "😄",
		"&BjMGRAYnBkU-": "سلام", "&AOk-t&AOk-": "été", "&--": "&-", "a&-&AOk-": "a&é",
	} {
		if got, ok := DecodeUTF7(encoded); !ok || got != text {
			t.Errorf("decode %s: %q", encoded, got)
		}
		if got := string(AppendUTF7(nil, text)); got != encoded {
			t.Errorf("encode %s: %q", text, got)
		}
	}
	for _, bad := range []string{"&", "&abc", "&Jjo", "&Jjo!-", "&AGE-", "&2D0-", "&3gQ-", "&U,BTFw-&ZeVnLIqe-", "&AOk=-", "&AOl-"} {
		if got, ok := DecodeUTF7(bad); ok {
			t.Errorf("%s was taken for %q", bad, got)
		}
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1-Feb-2006": time.Date(2006, 2, 1, 0, 0, 0, 0, time.UTC), `"29-feb-2024"`: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"01-Jan-1970": time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parse(t, text, (*Parser).Date); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1-Foo-2006", "1-Feb-06", "Feb-1-2006", "32-Jan-2006", `"1-Feb-2006`, "1-Feb"} {
		if got, err := parse(t, text, (*Parser).Date); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	got, err := parse(t, `" 1-Feb-2006 15:04:05 +0330"`, (*Parser).DateTime)
	if err != nil || !got.Equal(time.Date(2006, 2, 1, 11, 34, 5, 0, time.UTC)) {
		t.Errorf("%v, %v", got, err)
	}
	if s := string(AppendDateTime(nil, got)); s != `" 1-Feb-2006 15:04:05 +0330"` {
		t.Error(s)
	}
	for _, text := range []string{`"1-Feb-2006"`, `"1-Feb-2006 15:04:05"`, `"1-Feb-2006 25:04:05 +0000"`, `"1-Feb-2006 15:04:05 x0000"`} {
		if got, err := parse(t, text, (*Parser).DateTime); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestFetch(t *testing.T) {
	f, err := parse(t, "(UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From \"to\")]<10.20> BODY[TEXT] BINARY.SIZE[3] RFC822.HEADER) (CHANGEDSINCE 5 VANISHED)", (*Parser).Fetch)
	if err != nil {
		t.Fatal(err)
	}
	want := &Fetch{Attrs: AttrUID | AttrFlags, ChangedSince: 5, HasChangedSince: true, Vanished: true, Sections: []Section{
		{Path: []int{1, 2}, Part: PartFields, Fields: []string{"From", "to"}, Peek: true, Partial: true, Offset: 10, Count: 20},
		{Part: PartText}, {Form: FormBinarySize, Path: []int{3}, Peek: true}, {Form: FormRFC822, Part: PartHeader, Peek: true},
	}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v", f)
	}
	for i, name := range []string{"BODY[1.2.HEADER.FIELDS (From to)]<10>", "BODY[TEXT]", "BINARY.SIZE[3]", "RFC822.HEADER"} {
		if got := string(f.Sections[i].AppendName(nil)); got != name {
			t.Errorf("%s is written %s", name, got)
		}
	}
	for text, attrs := range map[string]Attr{"ALL": macros["ALL"], "full": macros["FULL"], "BODY": AttrBody, "(BODYSTRUCTURE MODSEQ)": AttrBodyStructure | AttrModSeq} {
		if f, err := parse(t, text, (*Parser).Fetch); err != nil || f.Attrs != attrs {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
	for _, bad := range []string{"", "(ALL)", "FOO", "BODY[", "BODY[]<0>", "BODY[]<0.0>", "BODY[1.]", "BODY[0]", "BODY[MIME]", "BODY[1HEADER]", "BODY[HEADER.FIELDS]",
		"BODY[HEADER.FIELDS ()]", "BINARY[TEXT]", "(FLAGS", "FLAGS (FOO)", "BODY[HEADER.FIELDS (a:b)]", "BODY[" + strings.Repeat("1.", 101) + "1]"} {
		if f, err := parse(t, bad, (*Parser).Fetch); err == nil {
			t.Errorf("%q: %+v", bad, f)
		}
	}
}

func TestSearch(t *testing.T) {
	prog, err := parse(t, "RETURN (MIN SAVE) CHARSET utf-8 OR SEEN (FROM a NOT 1:*) HEADER x-y {1}\r\nz MODSEQ \"/flags/\\\\draft\" all 620", (*Parser).Program)
	if err != nil {
		t.Fatal(err)
	}
	want := &Program{Return: Return{Given: true, Min: true, Save: true}, Charset: "UTF-8", Root: &Search{Args: []*Search{
		{Key: KeyOr, Args: []*Search{flagKey(`\Seen`), {Args: []*Search{{Key: KeyFrom, Text: "a"}, not(&Search{Key: KeySeq, Set: Set{Ranges: []Range{{1, 0}}}})}}}},
		{Key: KeyHeader, Field: "x-y", Text: "z"}, {Key: KeyModSeq, Number: 620},
	}}}
	if !reflect.DeepEqual(prog, want) {
		t.Errorf("got %+v", prog)
	}
	for _, good := range []string{"ALL", "RETURN () ALL", "NEW", "UID 1,2:*", "KEYWORD $Junk", "SINCE 1-Feb-1994 LARGER 0", "$", "EMAILID M1"} {
		if _, err := parse(t, good, (*Parser).Program); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "()", "FOO", "OR SEEN", "NOT", "RETURN (FOO) ALL", "RETURN ALL", "ALL ", "(ALL", "CHARSET ALL", "SINCE x",
		strings.Repeat("(", 60) + "ALL" + strings.Repeat(")", 60), strings.Repeat("NOT ", 60) + "ALL", strings.Repeat("ALL ", 1001) + "ALL"} {
		if prog, err := parse(t, bad, (*Parser).Program); !IsSyntax(err) {
			t.Errorf("%.40q: %+v, %v", bad, prog, err)
		}
	}
}

func TestOtherArguments(t *testing.T) {
	if l, err := parse(t, `(SUBSCRIBED RECURSIVEMATCH) "" ("a%" &AOk-*) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))`, (*Parser).ListCommand); err != nil || !reflect.DeepEqual(l, &List{
		Subscribed: true, ReturnSubscribed: true, RecursiveMatch: true, ReturnChildren: true, Status: StatusMessages | StatusUnseen, Extended: true, Patterns: []string{"a%", "é*"},
	}) {
		t.Errorf("%+v, %v", l, err)
	}
	if s, err := parse(t, " (CONDSTORE QRESYNC (67 90 1:5 (1,2 3,4)))", (*Parser).SelectParameters); err != nil || !reflect.DeepEqual(s, Select{CondStore: true, QResync: &QResync{
		UIDValidity: 67, ModSeq: 90, Known: []Range{{1, 5}}, SeqMatch: true, Seqs: []Range{{1, 1}, {2, 2}}, UIDs: []Range{{3, 3}, {4, 4}}}}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, good := range []string{" (QRESYNC (67 90))", " (QRESYNC (67 90 1:5))", " (QRESYNC (67 90 (1 2)))"} {
		if _, err := parse(t, good, (*Parser).SelectParameters); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if s, err := parse(t, `(UNCHANGEDSINCE 5) -FLAGS.SILENT (\seen $Forwarded)`, (*Parser).Store); err != nil || !reflect.DeepEqual(s, Store{
		Mode: StoreRemove, Silent: true, Conditional: true, UnchangedSince: 5, Flags: []string{`\Seen`, "$Forwarded"}}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := parse(t, `FLAGS (\Recent)`, (*Parser).Store); err == nil {
		t.Error(`\Recent can be set`)
	}
	by, err := parse(t, "(REVERSE DATE SUBJECT) UTF-8 ALL", func(p *Parser) []SortBy { by, _ := p.Sort(); return by })
	if err != nil || !reflect.DeepEqual(by, []SortBy{{SortDate, true}, {SortSubject, false}}) {
		t.Errorf("%+v, %v", by, err)
	}
}

func TestOutput(t *testing.T) {
	var b bytes.Buffer
	o := &Output{Dst: &b}
	o.Mailbox("INBOX")
	o.WriteString(" ")
	o.Mailbox("a b")
	o.WriteString(" ")
	o.Mailbox("é")
	o.WriteString(" ")
	o.Mailbox("")
	o.WriteString(" ")
	o.String("a\"b\r\n")
	o.WriteString(" ")
	o.Ranges([]uint32{1, 2, 3, 7, 9, 10})
	m := o.Mark()
	o.WriteString("gone")
	if !o.Undo(m) {
		t.Error("nothing was sent, but it cannot be taken back")
	}
	o.UTF8 = true
	o.String("é")
	if err := o.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "INBOX \"a b\" &AOk- \"\" {5}\r\na\"b\r\n 1:3,7,9:10\"é\""; got != want {
		t.Errorf("got %q", got)
	}
	long := strings.Repeat("y", 3*outputSize+5)
	b.Reset()
	o.WriteString("x")
	o.WriteString(long)
	o.Flush()
	if b.String() != "x"+long {
		t.Error("a long text does not come through")
	}
}
