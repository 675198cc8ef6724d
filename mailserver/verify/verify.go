// Package verify says what can be known of where a message comes from: the reverse name of the
// sending host (iprev), SPF of MAIL FROM and HELO, DKIM, ARC, and DMARC over them. It writes
// Authentication-Results and finds the forged ones.
//
// Every verdict is a word of RFC 8601, section 2.7. What the DNS cannot tell at the moment is
// temperror, never a pass and never a fail; if it decides what becomes of the message, Verify
// returns an error, so that the sender tries again.
//
// Messages are hostile. A message of any size is read once and in constant memory; the number
// of signatures, seals and look-ups is bounded; and so is the time for all of it.
package verify

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// maxTime bounds one Verify. What is not known by then is temperror. RFC 7208, section 4.6.4:
// SPF alone is to have at least 20 s.
const maxTime = 30 * time.Second

// Resolver is what the checks ask of the DNS, as net.Resolver has it. Errors are *net.DNSError
// and either IsNotFound or temporary; Exists, which tells a name that does not exist from one
// without records of some type, has temporary ones only.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	Exists(ctx context.Context, name string) (bool, error)
}

// Config is what a Verifier needs.
type Config struct {
	Resolver Resolver
	Hostname string           // authserv-id of Authentication-Results
	Now      func() time.Time // nil = time.Now; DKIM signatures expire
	Log      *slog.Logger     // nil = none
}

// Verifier checks messages. Its methods may be called from any number of goroutines.
type Verifier struct {
	dns      Resolver
	hostname string
	now      func() time.Time
	log      *slog.Logger
}

// New makes a verifier.
func New(c Config) *Verifier {
	v := &Verifier{dns: c.Resolver, hostname: c.Hostname, now: c.Now, log: c.Log}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	return v
}

// Message is what is checked: the bytes as they came, before anything is added or cut.
type Message struct {
	Remote netip.Addr      // of the client
	HELO   string          // as the client said it
	Sender address.Address // of MAIL FROM; zero for <>
	Body   io.ReaderAt     // the whole message, header included, lines ended by CRLF
	Size   int64           // of Body
	Header *mime.Header    // of Body, as mime.ReadHeader read it; fields put in or cut later do no harm
}

// Disposition is what a domain owner wants done with a message that fails.
type Disposition int

// The dispositions, mildest first.
const (
	None Disposition = iota
	Quarantine
	Reject
)

// String returns the word of RFC 9989.
func (d Disposition) String() string { return [...]string{"none", "quarantine", "reject"}[d] }

// Result is what was found out.
type Result struct {
	// Fields are header fields to put in front of the message, CRLF ended: Authentication-Results.
	Fields []byte

	// Verdicts are words of RFC 8601. DKIM is the best of all signatures.
	SPF, SPFHELO, DKIM, DMARC, ARC, IPRev string

	// Disposition is what the policy of the author's domain asks for; None unless DMARC is fail.
	Disposition Disposition
	From        string // domain of the author, as an A-label; "" if there is none
	Host        string // name of the client that its address confirms, without final dot; "" if none
	Summary     string // "spf=pass dkim=pass dmarc=pass", for events

	Signatures []Signature // as they stand in the header, at most maxSignatures
	Chain      []Hop       // of ARC, the first hop first; only of a chain that passes
}

// Signature is a DKIM signature and what became of it.
type Signature struct {
	Verdict  string // pass, fail, policy, neutral, temperror, permerror
	Reason   string // in plain words, for Authentication-Results; "" for pass
	Domain   string // d=
	Selector string // s=
	Algo     string // a=
	Identity string // i=, "" if the signature has none
	B        string // the first eight characters of b=, to tell signatures apart (RFC 6008)
}

// Hop is one ARC set of a chain that passes: who sealed, and what that server had found.
type Hop struct {
	Domain  string // d= of the seal
	Results string // the ARC-Authentication-Results, unfolded, with its i=
}

var errTemporary = errors.New("the DNS cannot tell at the moment")

// Verify checks a message. The error is of kind Unavailable: with key "verify.dns" the policy
// of the author's domain, or what it depends on, cannot be known now, and it matters; the
// result holds all the same, for those who do not obey policies. With another key the message
// could not be read, and DKIM and ARC are temperror.
func (v *Verifier) Verify(ctx context.Context, m Message) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	remote, h := m.Remote.Unmap().WithZone(""), newFields(m.Header)
	r := &Result{IPRev: "permerror", SPF: "none", SPFHELO: "none"}
	from, walk := readAuthor(h), v.newWalker(ctx)
	var spf spfResult
	var wg sync.WaitGroup
	if remote.IsValid() {
		wg.Go(func() { r.IPRev, r.Host = v.iprev(ctx, remote) })
		wg.Go(func() { spf = v.spf(ctx, &m, remote); r.SPF, r.SPFHELO = spf.mailFrom, spf.helo })
	}
	wg.Go(func() { walk.prefetch(from) })
	err := v.signatures(ctx, &m, h, r)
	wg.Wait()
	dmarc := walk.dmarc(from, identifiers(spf, r.Signatures))
	r.DMARC, r.Disposition, r.From = dmarc.verdict, dmarc.disposition, from.first()
	r.Summary = "spf=" + r.SPF + " dkim=" + r.DKIM + " dmarc=" + r.DMARC
	r.Fields = r.fields(v.hostname, &m, remote, spf, dmarc)
	if err != nil {
		return r, models.Unavailablef(err, "The message could not be read.")
	}
	if dmarc.unknown != nil {
		return r, models.Errorf(models.Unavailable, "verify.dns", "The DMARC policy of %s cannot be looked up at the moment.", r.From).
			With("domain", r.From).Because(dmarc.unknown)
	}
	return r, nil
}

// signatures verifies DKIM and ARC: keys are looked up while the body is read, once for all.
func (v *Verifier) signatures(ctx context.Context, m *Message, h *fields, r *Result) error {
	checks, chain := parseDKIM(h, v.now()), parseARC(h, v.now())
	var names []string
	bodies := map[bodyForm]*bodyHash{}
	for _, c := range checks {
		if c.open() {
			names = append(names, keyName(c.selector, c.domain))
			bodies[c.body] = &bodyHash{}
		}
	}
	if chain.verdict == "" {
		names = append(names, chain.names()...)
		bodies[chain.newest.body] = &bodyHash{}
	}
	var keys map[string]*keyResult
	var wg sync.WaitGroup
	wg.Go(func() { keys = v.fetchKeys(ctx, names) })
	start := int64(m.Header.Size())
	err := bodyHashes(ctx, io.NewSectionReader(m.Body, start, m.Size-start), bodies)
	wg.Wait()
	if err != nil {
		r.DKIM, r.ARC = "temperror", "temperror"
		return err
	}
	for _, c := range checks {
		if c.open() {
			c.finish(h, keys[keyName(c.selector, c.domain)], bodies[c.body])
		}
		r.Signatures = append(r.Signatures, c.result)
	}
	if chain.verdict == "" {
		chain.finish(h, keys, bodies[chain.newest.body])
	}
	r.DKIM, r.ARC, r.Chain = bestDKIM(r.Signatures), chain.verdict, chain.hops()
	return nil
}

// identifiers are the domains that speak for the message: MAIL FROM by SPF, d= by DKIM.
func identifiers(spf spfResult, signatures []Signature) []identifier {
	ids := []identifier{{domain: spf.domain, verdict: spf.mailFrom}}
	for _, s := range signatures {
		ids = append(ids, identifier{domain: s.Domain, verdict: s.Verdict, dkim: true})
	}
	return ids
}
