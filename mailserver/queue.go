package mailserver

import (
	"context"
	"crypto/x509"
	"net/netip"
	"sync"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/mtasts"
	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Outbound is how mail leaves for other servers.
type Outbound struct {
	Resolver interface {
		outbound.Resolver
		mtasts.Resolver
	}
	Relays    Relays
	Unseal    func(sealed, context string) ([]byte, error)
	Smarthost *outbound.Relay // for who has none of his own; nil = mail goes to its destination

	Hostname       string     // in EHLO; "" = the server's
	Port           int        // of other servers; 0 = 25
	PolicyPort     int        // of the web servers with their MTA-STS policies; 0 = 443
	Private        bool       // hosts may have private addresses
	Source         netip.Addr // that connections come from, unless the domain has one; invalid = any
	Own            []netip.AddrPort
	Roots          *x509.CertPool // nil = the system's
	Concurrency    int
	PerDestination int
	Plan           queue.Plan
	Alone          bool // no other server sends from this database
}

// Relays says by which smarthost and from which address mail leaves.
type Relays interface {
	RelayFor(ctx context.Context, mailbox, domain models.ID) (*models.Relay, error)
	DomainByID(ctx context.Context, scope models.Scope, id models.ID) (*models.Domain, error)
}

// Queue is the outbound queue; nil if nothing is sent from here.
func (s *Server) Queue() *queue.Queue { return s.queue }

// openQueue makes the queue and what sends for it.
func (s *Server) openQueue() {
	c, o := s.config, s.config.Outbound
	if o == nil {
		return
	}
	hostname := o.Hostname
	if hostname == "" {
		hostname = c.Hostname
	}
	s.policies = mtasts.New(mtasts.Config{DB: c.DB, Resolver: o.Resolver, Roots: o.Roots, Port: o.PolicyPort, Private: o.Private, Log: c.Log})
	s.outbound = outbound.New(outbound.Config{
		Resolver: o.Resolver, Policies: s.policies, Hostname: hostname, Names: []string{c.Hostname}, Port: o.Port, Private: o.Private, Own: o.Own, Roots: o.Roots, Log: c.Log,
	})
	s.queue = queue.New(queue.Config{
		DB: c.DB, Blobs: c.Blobs, Routes: &routes{o, db.NewRecent[[2]models.ID, outbound.Route](c.DB)}, Send: s.outbound, Events: s.trace, Plan: o.Plan, Concurrency: o.Concurrency, PerDestination: o.PerDestination,
		Open: func(ctx context.Context, blob models.ID) (queue.Message, error) { return c.Blobs.Open(ctx, blob) },
		Post: func(ctx context.Context, l queue.Letter) error { return s.delivery.Post(ctx, letter(l)) },
		OnFailure: func(ctx context.Context, tx *db.Tx, item *models.QueueItem, recipients int64) error {
			return s.delivery.OnFailure(ctx, tx, item, recipients)
		},
		Alone: o.Alone, Panicked: s.panics.Inc, Hostname: c.Hostname, Log: c.Log,
	})
}

// letter is a report of the queue as delivery takes it.
func letter(l queue.Letter) delivery.Letter {
	return delivery.Letter{
		Kind: l.Kind, To: l.To, Body: l.Body, Language: l.Language, CustomerID: l.CustomerID, MailboxID: l.MailboxID, DomainID: l.DomainID,
		EnvelopeID: l.EnvelopeID, Also: l.Also,
	}
}

// runQueue sends until ctx ends.
func (s *Server) runQueue(ctx context.Context) {
	if s.queue == nil {
		return
	}
	var policies sync.WaitGroup
	policies.Go(func() { s.policies.Run(ctx) })
	s.queue.Run(ctx)
	s.outbound.Close()
	policies.Wait()
}

// routes finds smarthost and source address of what is sent.
type routes struct {
	*Outbound
	recent *db.Recent[[2]models.ID, outbound.Route] // by mailbox and domain
}

// Route implements queue.Routes.
func (r *routes) Route(ctx context.Context, mailbox, domain models.ID) (outbound.Route, error) {
	return r.recent.Get([2]models.ID{mailbox, domain}, func() (outbound.Route, error) { return r.find(ctx, mailbox, domain) })
}

func (r *routes) find(ctx context.Context, mailbox, domain models.ID) (outbound.Route, error) {
	route := outbound.Route{Relay: r.Smarthost, Source: r.Source}
	if domain != 0 {
		d, err := r.Relays.DomainByID(ctx, models.Everything(), domain)
		if err != nil && !models.Is(err, models.NotFound) {
			return outbound.Route{}, err
		}
		if err == nil && d.SourceIP != "" {
			if route.Source, err = netip.ParseAddr(d.SourceIP); err != nil {
				return outbound.Route{}, models.Unavailablef(err, "The domain's source address cannot be read.")
			}
		}
	}
	relay, err := r.Relays.RelayFor(ctx, mailbox, domain)
	if models.Is(err, models.NotFound) {
		return route, nil
	}
	if err != nil {
		return outbound.Route{}, err
	}
	password := ""
	if relay.Secret != "" {
		plain, err := r.Unseal(relay.Secret, relay.SecretContext())
		if err != nil {
			return outbound.Route{}, models.Unavailablef(err, "The smarthost's password cannot be opened.")
		}
		password = string(plain)
	}
	route.Relay = &outbound.Relay{Host: relay.Host, Port: relay.Port, Security: outbound.Security(relay.Security), Username: relay.Username, Password: password, Inside: relay.OwnerKind == models.RelayOfServer}
	return route, nil
}
