package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits bound one command. All are bytes but Nesting.
type Limits struct {
	Line    int   // one line
	Literal int64 // a literal that is an argument; those of APPEND have their own limit
	Command int64 // the lines and literals of a command, those of APPEND not counted
	Nesting int   // parentheses within each other
}

// The limits before and after log-in.
var (
	BeforeLogin = Limits{Line: 8 << 10, Literal: 8 << 10, Command: 32 << 10, Nesting: 10}
	AfterLogin  = Limits{Line: 128 << 10, Literal: 128 << 10, Command: 512 << 10, Nesting: 50}
)

// maxNonSync is the longest literal that a client may send without waiting: RFC 7888, section
// 5 (LITERAL-).
const maxNonSync = 4096

// maxSkip is how much of a refused command is read and thrown away before the connection is
// given up.
const maxSkip = 1 << 20

// SyntaxError is a command that breaks the grammar. Code is a response code without brackets,
// or "".
type SyntaxError struct{ Code, Text string }

// Error implements error.
func (e *SyntaxError) Error() string { return "imap: " + e.Text }

// ErrSkip means that a refused command is too long to be skipped.
var ErrSkip = errors.New("imap: refused command too long to skip")

// Parser reads one command. Its first error stays and makes all later calls do nothing.
type Parser struct {
	// UTF8 says that names of mailboxes are UTF-8 (RFC 6855, RFC 9051), not modified UTF-7.
	UTF8 bool
	// Continue asks the client for a literal. It must flush.
	Continue func() error

	in     *Input
	limits Limits
	line   []byte
	pos    int
	used   int64
	depth  int
	whole  bool // End was reached
	err    error
}

// Begin reads the first line of the next command. The error is one of the connection or
// ErrLine.
func (p *Parser) Begin(in *Input, limits Limits) error {
	*p = Parser{UTF8: p.UTF8, Continue: p.Continue, in: in, limits: limits}
	p.next()
	return p.err
}

// Err returns the first error: a *SyntaxError, or one of the connection.
func (p *Parser) Err() error { return p.err }

// Fail makes the command one that breaks the grammar.
func (p *Parser) Fail(format string, args ...any) { p.refuse("", fmt.Sprintf(format, args...)) }

func (p *Parser) refuse(code, text string) {
	if p.err == nil {
		p.err = &SyntaxError{code, text}
	}
}

// ok reports whether there is no error so far.
func (p *Parser) ok() bool { return p.err == nil }

// next reads the next line of the command.
func (p *Parser) next() {
	if p.err != nil {
		return
	}
	left := p.limits.Command - p.used
	if left <= 0 {
		p.err = ErrLine
		return
	}
	p.line, p.err = p.in.Line(min(p.limits.Line, int(left)))
	p.pos = 0
	p.used += int64(len(p.line)) + 2
}

// Peek returns the next byte, 0 at the end of the line or after an error.
func (p *Parser) Peek() byte {
	if p.err != nil || p.pos >= len(p.line) {
		return 0
	}
	return p.line[p.pos]
}

// AtEnd reports whether nothing is left on the line.
func (p *Parser) AtEnd() bool { return p.err == nil && p.pos >= len(p.line) }

// Accept takes c if it is next.
func (p *Parser) Accept(c byte) bool {
	if p.err != nil || p.pos >= len(p.line) || p.line[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

// Expect takes c, which must be next.
func (p *Parser) Expect(c byte) {
	if !p.Accept(c) {
		p.Fail("%q was expected", c)
	}
}

// SP takes a space.
func (p *Parser) SP() {
	if !p.Accept(' ') {
		p.Fail("A space was expected, or an argument is missing")
	}
}

// End makes sure that the command ends here.
func (p *Parser) End() {
	p.lineEnd()
	p.whole = p.err == nil
}

func (p *Parser) lineEnd() {
	if p.err == nil && p.pos < len(p.line) {
		p.Fail("There is more than the command takes")
	}
}

// Line returns the rest of the line and takes it, for what is not in words: SASL responses.
func (p *Parser) Line() []byte {
	if p.err != nil {
		return nil
	}
	rest := p.line[p.pos:]
	p.pos = len(p.line)
	return rest
}

// isAtom reports whether c may be in an atom (RFC 9051, section 9, ATOM-CHAR) or is "]", which
// ASTRING-CHAR adds and many clients send elsewhere.
func isAtom(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`(){%*"\`, c) < 0
}

func (p *Parser) run(allowed func(byte) bool) string {
	if p.err != nil {
		return ""
	}
	start := p.pos
	for p.pos < len(p.line) && allowed(p.line[p.pos]) {
		p.pos++
	}
	return string(p.line[start:p.pos])
}

// Tag takes a command's tag.
func (p *Parser) Tag() string {
	tag := p.run(func(c byte) bool { return c != '+' && (isAtom(c) || c == ']') })
	if tag == "" || len(tag) > 256 {
		p.Fail("A tag was expected")
		return ""
	}
	return tag
}

// Atom takes an atom.
func (p *Parser) Atom() string {
	s := p.run(isAtom)
	if s == "" {
		p.Fail("A word was expected")
	}
	return s
}

// Word takes an atom that is a word of the protocol, and returns it in upper case.
func (p *Parser) Word() string { return strings.ToUpper(p.Atom()) }

// Name takes a word of the protocol that may be followed by "[" or a parenthesis.
func (p *Parser) Name() string {
	s := p.run(func(c byte) bool { return isAtom(c) && c != '[' && c != ']' && c != '<' })
	if s == "" {
		p.Fail("A word was expected")
	}
	return strings.ToUpper(s)
}

// AString takes an atom, a quoted string or a literal.
func (p *Parser) AString() string {
	switch p.Peek() {
	case '"', '{':
		return p.String()
	}
	return p.Atom()
}

// NString takes a string or NIL, which is reported by false.
func (p *Parser) NString() (string, bool) {
	switch p.Peek() {
	case '"', '{':
		return p.String(), true
	}
	if p.Word() != "NIL" {
		p.Fail("A string or NIL was expected")
	}
	return "", false
}

// String takes a quoted string or a literal.
func (p *Parser) String() string {
	switch p.Peek() {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	p.Fail("A string was expected")
	return ""
}

func (p *Parser) quoted() string {
	p.Expect('"')
	if !p.ok() {
		return ""
	}
	var b strings.Builder
	for p.pos < len(p.line) {
		c := p.line[p.pos]
		p.pos++
		switch c {
		case '"':
			if s := b.String(); utf8.ValidString(s) {
				return s
			}
			p.Fail("A quoted string is not UTF-8")
			return ""
		case '\\':
			if p.pos >= len(p.line) || p.line[p.pos] != '"' && p.line[p.pos] != '\\' {
				p.Fail("A backslash in a quoted string is followed by neither \\ nor \"")
				return ""
			}
			c = p.line[p.pos]
			p.pos++
		case 0, '\r':
			p.Fail("A quoted string has a character that is not allowed")
			return ""
		}
		b.WriteByte(c)
	}
	p.Fail("A quoted string has no end")
	return ""
}

// literal takes a literal that is an argument.
func (p *Parser) literal() string {
	l := p.Literal()
	if !p.ok() {
		return ""
	}
	if l.Size > p.limits.Literal || p.used+l.Size > p.limits.Command {
		p.refuse("TOOBIG", "That literal is too long")
		return ""
	}
	if !p.Take(l) {
		return ""
	}
	b := make([]byte, l.Size)
	if _, err := io.ReadFull(p.in, b); err != nil {
		p.err = err
		return ""
	}
	p.used += l.Size
	p.pos = len(p.line)
	p.next()
	for _, c := range b {
		if c == 0 {
			p.Fail("A literal has a NUL")
			return ""
		}
	}
	return string(b)
}

// Literal is the announcement of a literal, at the end of a line.
type Literal struct {
	Size   int64
	Sync   bool // the client waits for a continuation before it sends
	Binary bool // literal8 of RFC 3516
}

// Literal takes the announcement of a literal. Nothing is asked for yet: see Take.
func (p *Parser) Literal() (l Literal) {
	l.Binary = p.Accept('~')
	p.Expect('{')
	l.Size = int64(p.Number64())
	l.Sync = !p.Accept('+')
	p.Expect('}')
	p.lineEnd()
	if p.ok() && !l.Sync && l.Size > maxNonSync {
		// RFC 7888, section 5: it is not read, whatever it is.
		p.refuse("TOOBIG", "A literal over 4096 bytes needs a continuation")
	}
	return l
}

// Take asks for a literal, which the caller then reads from the Input to its end before it
// calls AfterLiteral.
func (p *Parser) Take(l Literal) bool {
	if p.err == nil && l.Sync {
		p.err = p.Continue()
	}
	return p.err == nil
}

// AfterLiteral goes on with the line that follows a literal read by the caller.
func (p *Parser) AfterLiteral() {
	p.used = 0
	p.next()
}

// Skip reads and throws away what the client sends of a command that is not read to its end:
// literals that it does not wait to send. ErrSkip when that is too much.
func (p *Parser) Skip() error {
	if p.err != nil && !IsSyntax(p.err) {
		return p.err
	}
	if p.whole {
		return nil
	}
	skipped := int64(0)
	for {
		size, follows := nonSync(p.line)
		if !follows {
			return nil
		}
		if skipped += size + int64(len(p.line)); skipped > maxSkip {
			return ErrSkip
		}
		if _, err := io.CopyN(io.Discard, p.in, size); err != nil {
			return err
		}
		line, err := p.in.Line(p.limits.Line)
		if err != nil {
			return err
		}
		p.line, p.pos = line, len(line)
	}
}

// IsSyntax reports whether an error is one of grammar, after which the connection goes on.
func IsSyntax(err error) bool {
	var e *SyntaxError
	return errors.As(err, &e)
}

// nonSync reports whether a line ends with the announcement of a literal that follows at once.
func nonSync(line []byte) (size int64, follows bool) {
	n := len(line)
	if n < 4 || line[n-1] != '}' || line[n-2] != '+' {
		return 0, false
	}
	i := n - 3
	for ; i >= 0 && line[i] >= '0' && line[i] <= '9'; i-- {
	}
	if i < 0 || line[i] != '{' || i == n-3 || n-3-i > 18 {
		return 0, false
	}
	for _, c := range line[i+1 : n-2] {
		size = size*10 + int64(c-'0')
	}
	return size, true
}

// Number takes a number of 32 bits.
func (p *Parser) Number() uint32 {
	n := p.Number64()
	if n > 1<<32-1 {
		p.Fail("A number is too large")
		return 0
	}
	return uint32(n)
}

// NzNumber takes a number of 32 bits that is not 0.
func (p *Parser) NzNumber() uint32 {
	n := p.Number()
	if n == 0 {
		p.Fail("A number over 0 was expected")
	}
	return n
}

// Number64 takes a number of 63 bits (RFC 9051, section 4.2, number64).
func (p *Parser) Number64() uint64 {
	digits := p.run(func(c byte) bool { return c >= '0' && c <= '9' })
	if digits == "" {
		p.Fail("A number was expected")
		return 0
	}
	var n uint64
	for i := range len(digits) {
		if n > (1<<63-1-9)/10 {
			p.Fail("A number is too large")
			return 0
		}
		n = n*10 + uint64(digits[i]-'0')
	}
	return n
}

// Open takes an opening parenthesis and counts how deep it lies.
func (p *Parser) Open() {
	p.Expect('(')
	if p.depth++; p.depth > p.limits.Nesting {
		p.Fail("Parentheses lie too deep in each other")
	}
}

// Close takes a closing parenthesis.
func (p *Parser) Close() {
	p.Expect(')')
	p.depth--
}

// List takes a parenthesized list, calling item for each; it may be empty. item must take
// something or fail.
func (p *Parser) List(item func()) {
	p.Open()
	for first := true; p.ok() && p.Peek() != ')'; first = false {
		if !first {
			p.SP()
		}
		item()
	}
	p.Close()
}

// Mailbox takes the name of a mailbox and returns it as UTF-8. It is not checked in any other
// way: the name may be one that cannot be.
func (p *Parser) Mailbox() string { return p.name(p.AString()) }

// ListMailbox takes the pattern of LIST, which may have wildcards outside quotes too.
func (p *Parser) ListMailbox() string {
	switch p.Peek() {
	case '"', '{':
		return p.name(p.String())
	}
	s := p.run(func(c byte) bool { return isAtom(c) || c == '%' || c == '*' })
	if s == "" {
		p.Fail("A pattern was expected")
	}
	return p.name(s)
}

func (p *Parser) name(s string) string {
	if !p.ok() {
		return ""
	}
	if !p.UTF8 {
		decoded, ok := DecodeUTF7(s)
		if !ok {
			p.Fail("The name of a mailbox is not modified UTF-7")
		}
		return decoded
	}
	if !utf8.ValidString(s) {
		p.Fail("The name of a mailbox is not UTF-8")
	}
	return s
}

// UTF8Literal takes "UTF8 (" of APPEND (RFC 6855, section 4), if it is next; a closing
// parenthesis then follows the literal.
func (p *Parser) UTF8Literal() bool {
	if !p.hasWord("UTF8") {
		return false
	}
	p.SP()
	p.Expect('(')
	return true
}
