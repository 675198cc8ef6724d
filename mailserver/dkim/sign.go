package dkim

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/postchi/postchi/mailserver/canon"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// oversigned are the fields that are signed once more than they occur, so that none can be
// added later: always, or if there are any. From, To and Subject are what people see; RFC 6376,
// section 8.15.
var oversigned = []struct {
	name   string
	always bool
}{
	{"From", true}, {"To", true}, {"Subject", true}, {"Cc", false}, {"Reply-To", false}, {"Date", false}, {"Message-ID", false},
	{"MIME-Version", false}, {"Content-Type", false}, {"Content-Transfer-Encoding", false},
}

// signedToo are signed as often as they occur.
var signedToo = []string{"Sender", "In-Reply-To", "References", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"}

// maxInstances bounds how often one field is signed.
const maxInstances = 16

// digest is what all signatures of a message share: the names in h=, the fields in that order
// in canonical form, the hash of the body.
type digest struct {
	names  []string
	fields []byte
	body   []byte
}

// read takes a message in. It is read once, with a fixed amount of memory for its body; a
// header is at most mime.MaxHeaderBlock.
func read(r io.ReaderAt, size int64) (*digest, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 32<<10)
	header, err := mime.ReadHeader(in)
	if err != nil {
		return nil, err
	}
	d := &digest{names: signedNames(header)}
	d.fields = canonicalFields(header, d.names)
	hash := sha256.New()
	body := canon.NewBody(hash, canon.Relaxed)
	if _, err := in.WriteTo(body); err != nil {
		return nil, err
	}
	if err := body.Close(); err != nil {
		return nil, err
	}
	d.body = hash.Sum(nil)
	return d, nil
}

func signedNames(h *mime.Header) []string {
	count := map[string]int{}
	for _, f := range h.Fields() {
		count[strings.ToLower(f.Name)]++
	}
	var names []string
	add := func(name string, n int) {
		for range min(n, maxInstances) {
			names = append(names, name)
		}
	}
	for _, o := range oversigned {
		if n := count[strings.ToLower(o.name)]; n > 0 || o.always {
			add(o.name, n+1)
		}
	}
	for _, name := range signedToo {
		add(name, count[strings.ToLower(name)])
	}
	return names
}

// canonicalFields returns the fields that names stand for: of several, each name takes the
// last one not taken yet (RFC 6376, section 5.4.2); one too many takes nothing.
func canonicalFields(h *mime.Header, names []string) []byte {
	fields := slices.Clone(h.Fields())
	var out []byte
	for _, name := range names {
		for i := len(fields) - 1; i >= 0; i-- {
			if strings.EqualFold(fields[i].Name, name) {
				out = canon.AppendField(out, fields[i].Raw, canon.Relaxed)
				fields[i].Name = ""
				break
			}
		}
	}
	return out
}

// signature returns the DKIM-Signature field of one key, CRLF at its end.
func (d *digest) signature(domain string, k *models.DKIMKey, private crypto.Signer, at int64) ([]byte, error) {
	field := []byte("DKIM-Signature: v=1; a=" + string(k.Algorithm) + "-sha256; c=relaxed/relaxed;\r\n" +
		"\td=" + domain + "; s=" + k.Selector + "; t=" + strconv.FormatInt(at, 10) + ";\r\n\t")
	field = d.appendNames(field)
	field = append(field, "\tbh="+base64.StdEncoding.EncodeToString(d.body)+";\r\n\tb="...)
	hash := sha256.New()
	hash.Write(d.fields)
	hash.Write(canon.AppendSignature(nil, field, canon.Relaxed))
	var how crypto.SignerOpts = crypto.SHA256
	if _, is := private.(ed25519.PrivateKey); is {
		how = crypto.Hash(0) // RFC 8463, section 3: the hash is the message that PureEdDSA signs
	}
	signed, err := private.Sign(rand.Reader, hash.Sum(nil), how)
	if err != nil {
		return nil, fmt.Errorf("sign with DKIM key %s: %w", k.Selector, err)
	}
	return appendFolded(field, base64.StdEncoding.EncodeToString(signed)), nil
}

// lineLength is the length at which lines of the field are folded. RFC 5322, section 2.1.1.
const lineLength = 76

func (d *digest) appendNames(field []byte) []byte {
	field = append(field, "h="...)
	column := len("        h=") // a tab counts as 8
	for i, name := range d.names {
		if i > 0 {
			field, column = append(field, ':'), column+1
			if column+len(name)+1 > lineLength {
				field, column = append(field, "\r\n\t"...), 8
			}
		}
		field, column = append(field, name...), column+len(name)
	}
	return append(field, ";\r\n"...)
}

func appendFolded(field []byte, text string) []byte {
	room := lineLength - len("        b=")
	for len(text) > room {
		field = append(append(field, text[:room]...), "\r\n\t"...)
		text, room = text[room:], lineLength-8
	}
	return append(append(field, text...), "\r\n"...)
}
