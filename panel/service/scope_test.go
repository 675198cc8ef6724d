package service

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// use sets what a mailbox holds.
func (s *site) use(addr string, bytes int64) {
	s.t.Helper()
	row, err := s.Mailbox(s.ctx, s.admin, addr)
	s.ok(err)
	s.ok(s.d.Write(s.ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE mailbox_state SET bytes = ? WHERE mailbox_id = ?", bytes, row.ID)
		return err
	}))
}

// dump returns every row of every table that the accounts own.
func (s *site) dump() string {
	s.t.Helper()
	var b strings.Builder
	for _, table := range []string{"customers", "users", "domains", "addresses", "mailboxes", "mailbox_state", "login_blocks", "logins", "events", "sessions", "settings", "aliases", "targets", "auto_replies", "auto_replied", "suppressions", "relays"} {
		rows, err := s.d.SQL().Query("SELECT * FROM " + table)
		s.ok(err)
		columns, err := rows.Columns()
		s.ok(err)
		var lines []string
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			s.ok(rows.Scan(values...))
			line := table
			for i, v := range values {
				line += fmt.Sprintf(" %s=%q", columns[i], v.(*sql.NullString).String)
			}
			lines = append(lines, line)
		}
		s.ok(rows.Err())
		rows.Close()
		sort.Strings(lines)
		b.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}

// call is one method with arguments that name what is the customer "Example"'s.
type call struct {
	as    string // who may: "owner" or "admin"
	list  bool   // answers with an empty list instead of NotFound
	reset bool   // the site is made anew afterwards
	self  bool   // names nobody but the viewer: another mailbox's owner changes that mailbox
	run   func(s *site, v Viewer) (any, error)
}

// none is the result of a method that has none.
func none(err error) (any, error) { return nil, err }

// none2 is none for a method whose result is a number of changes.
func none2(_ int64, err error) (any, error) { return nil, err }

// calls has every method that takes a viewer; TestEveryMethodIsScoped fails if one is missing.
var calls = map[string]call{
	"Customers":      {as: "admin", run: func(s *site, v Viewer) (any, error) { return s.Customers(s.ctx, v, Query{}) }},
	"Customer":       {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Customer(s.ctx, v, s.customer.ID) }},
	"CustomerByName": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.CustomerByName(s.ctx, v, "Example") }},
	"AddCustomer":    {as: "admin", run: func(s *site, v Viewer) (any, error) { return s.AddCustomer(s.ctx, v, NewCustomer{Name: "N"}) }},
	"RenameCustomer": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.RenameCustomer(s.ctx, v, s.customer.ID, "R", "")) }},
	"SetCustomerLimits": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetCustomerLimits(s.ctx, v, s.customer.ID, CustomerLimits{Domains: 9}))
	}},
	"SuspendCustomer": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return none(s.SuspendCustomer(s.ctx, v, s.customer.ID, "x", true))
	}},
	"ResumeCustomer": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.ResumeCustomer(s.ctx, v, s.customer.ID)) }},
	"RemoveCustomer": {as: "admin", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.RemoveCustomer(s.ctx, v, s.customer.ID, true)) }},

	"Users":       {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) { return s.Users(s.ctx, v, s.customer.ID) }},
	"User":        {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.User(s.ctx, v, s.owner.UserID) }},
	"UserByEmail": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.UserByEmail(s.ctx, v, s.owner.Name) }},
	"AddUser": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return s.AddUser(s.ctx, v, NewUser{Email: "n@example.net", Role: models.RoleCustomer, CustomerID: s.customer.ID, Password: good})
	}},
	"SetUserPassword": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.SetUserPassword(s.ctx, v, s.owner.UserID, good)) }},
	"RemoveUser":      {as: "admin", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.RemoveUser(s.ctx, v, s.owner.UserID)) }},
	// These two can only name the viewer itself; a viewer of another customer who names a foreign user id is no one.
	"SetOwnPassword": {as: "owner", self: true, run: func(s *site, v Viewer) (any, error) {
		v.UserID = s.owner.UserID
		return none(s.SetOwnPassword(s.ctx, v, good, good))
	}},
	"SetLanguage": {as: "owner", self: true, run: func(s *site, v Viewer) (any, error) {
		v.UserID = s.owner.UserID
		return none(s.SetLanguage(s.ctx, v, "fa"))
	}},

	"Domains": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) { return s.Domains(s.ctx, v, Query{Search: "example.com"}) }},
	"Domain":  {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Domain(s.ctx, v, "example.com") }},
	"AddDomain": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return s.AddDomain(s.ctx, v, NewDomain{Name: "n.example", CustomerID: s.customer.ID})
	}},
	"ActivateDomain": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.ActivateDomain(s.ctx, v, "example.com", 0)) }},
	"SetDomainRoles": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetDomainRoles(s.ctx, v, "example.com", "sara@example.com", ""))
	}},
	"TakeDomain": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return none(s.TakeDomain(s.ctx, v, "example.com", s.customer.ID))
	}},
	"SetDMARCObey": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetDMARCObey(s.ctx, v, "example.com", models.DMARCObeyOff))
	}},
	"SetDomainSource": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetDomainSource(s.ctx, v, "example.com", "192.0.2.7"))
	}},
	"DNS": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.DNS(s.ctx, v, "example.com") }},
	"DNSZone": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		_, _, err := s.DNSZone(s.ctx, v, "example.com")
		return none(err)
	}},
	"DNSCSV": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		_, _, err := s.DNSCSV(s.ctx, v, "example.com")
		return none(err)
	}},
	"CheckDNSRow": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return s.CheckDNSRow(s.ctx, v, "example.com", "MX", "example.com")
	}},
	"CheckDNS":     {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.CheckDNS(s.ctx, v, "example.com") }},
	"RotateKeys":   {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.RotateKeys(s.ctx, v, "example.com")) }},
	"Proof":        {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Proof(s.ctx, v, "example.com") }},
	"RemoveDomain": {as: "owner", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.RemoveDomain(s.ctx, v, "example.com", true)) }},

	"Mailboxes": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) { return s.Mailboxes(s.ctx, v, Query{Search: "example.com"}) }},
	"Mailbox":   {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Mailbox(s.ctx, v, "sara@example.com") }},
	"AddMailbox": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return s.AddMailbox(s.ctx, v, NewMailbox{Local: "n", Domain: "example.com", Password: good})
	}},
	"CheckAddress": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.CheckAddress(s.ctx, v, "free", "example.com")) }},
	"SetMailboxPassword": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetMailboxPassword(s.ctx, v, "sara@example.com", good))
	}},
	"SetMailboxQuota": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetMailboxQuota(s.ctx, v, "sara@example.com", 7, 0))
	}},
	"RenameMailbox": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.RenameMailbox(s.ctx, v, "sara@example.com", "x")) }},
	"SetMailboxSwitches": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetMailboxSwitches(s.ctx, v, "sara@example.com", Switches{SendOff: true}))
	}},
	"DeleteMailbox":  {as: "owner", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.DeleteMailbox(s.ctx, v, "sara@example.com")) }},
	"RestoreMailbox": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.RestoreMailbox(s.ctx, v, "binned@example.com")) }},
	"PurgeMailbox":   {as: "owner", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.PurgeMailbox(s.ctx, v, "sara@example.com")) }},

	"Aliases": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) { return s.Aliases(s.ctx, v, Query{Search: "example.com"}) }},
	"Alias":   {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Alias(s.ctx, v, "info@example.com") }},
	"AddAlias": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return s.AddAlias(s.ctx, v, NewAlias{Local: "n2", Domain: "example.com", Targets: []string{"sara@example.com"}})
	}},
	"EditAlias": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.EditAlias(s.ctx, v, "info@example.com", AliasChange{Kind: models.AliasGroup, Targets: []string{"sara"}}))
	}},
	"SwitchAlias": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.SwitchAlias(s.ctx, v, "info@example.com", true)) }},
	"RemoveAlias": {as: "owner", reset: true, run: func(s *site, v Viewer) (any, error) { return none(s.RemoveAlias(s.ctx, v, "info@example.com")) }},
	"Explain":     {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Explain(s.ctx, v, "sara@example.com") }},
	"AskAgain": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.AskAgain(s.ctx, v, "neighbour@example.com", "out@elsewhere.example"))
	}},
	"Forward": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Forward(s.ctx, v, "sara@example.com") }},
	"SetForward": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetForward(s.ctx, v, "sara@example.com", []string{"neighbour"}, true))
	}},
	"SetCatchAll": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.SetCatchAll(s.ctx, v, "example.com", "sara")) }},
	"SetAliasOf": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetAliasOf(s.ctx, v, "other.example", "example.com"))
	}},
	"AliasOf":   {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.AliasOf(s.ctx, v, "alias.example") }},
	"AutoReply": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.AutoReply(s.ctx, v, "sara@example.com") }},
	"SetAutoReply": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetAutoReply(s.ctx, v, "sara@example.com", models.AutoReply{Enabled: true, Body: "away"}))
	}},
	"SendAutoReply": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none2(s.SendAutoReply(s.ctx, v, "sara@example.com", "en"))
	}},
	"HoldSending":    {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.HoldSending(s.ctx, v, "sara@example.com", "x")) }},
	"ReleaseSending": {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.ReleaseSending(s.ctx, v, "sara@example.com")) }},
	"Suppressions": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return s.Suppressions(s.ctx, v, "neighbour@example.com", Query{})
	}},
	"LiftSuppression": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none(s.LiftSuppression(s.ctx, v, "neighbour@example.com", "no@elsewhere.example"))
	}},
	"SendingUse": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.SendingUse(s.ctx, v, "sara@example.com") }},
	"Relays":     {as: "admin", list: true, run: func(s *site, v Viewer) (any, error) { return s.Relays(s.ctx, v) }},
	"SetRelay": {as: "admin", run: func(s *site, v Viewer) (any, error) {
		return none(s.SetRelay(s.ctx, v, NewRelay{Owner: "example.com", Host: "relay.example", Security: models.RelayTLS}))
	}},
	"RemoveRelay": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.RemoveRelay(s.ctx, v, "sara@example.com")) }},

	"Logins": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Logins(s.ctx, v, "sara@example.com", 0) }},
	"Events": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Events(s.ctx, v, "sara@example.com", 0, 0) }},
	"Traces": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) {
		found, err := s.Traces(s.ctx, v, Find{Text: "sara@example.com"})
		if err != nil {
			return nil, err
		}
		return found.Stories, nil
	}},
	"Trace":       {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Trace(s.ctx, v, 77) }},
	"QueueGroups": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) { return s.QueueGroups(s.ctx, v) }},
	"QueueRows": {as: "owner", list: true, run: func(s *site, v Viewer) (any, error) {
		return s.QueueRows(s.ctx, v, models.QueueFilter{}, Query{})
	}},
	"QueueItem": {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.QueueItem(s.ctx, v, s.queued) }},
	"ActOnQueue": {as: "owner", run: func(s *site, v Viewer) (any, error) {
		return none2(s.ActOnQueue(s.ctx, v, QueueHold, models.QueueFilter{QueueID: s.queued}))
	}},
	"LiveSessions":   {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.LiveSessions(s.ctx, v, "sara@example.com") }},
	"LastUses":       {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.LastUses(s.ctx, v, "sara@example.com", 0) }},
	"EndSession":     {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.EndSession(s.ctx, v, "sara@example.com", 1)) }},
	"LogOut":         {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.LogOut(s.ctx, v, "sara@example.com")) }},
	"Blocks":         {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Blocks(s.ctx, v, "sara@example.com") }},
	"Unblock":        {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.Unblock(s.ctx, v, "sara@example.com", "")) }},
	"UnblockNetwork": {as: "admin", run: func(s *site, v Viewer) (any, error) { return none(s.UnblockNetwork(s.ctx, v, "192.0.2.1")) }},
	"SendTest":       {as: "owner", run: func(s *site, v Viewer) (any, error) { return none(s.SendTest(s.ctx, v, "sara@example.com", "en")) }},
	"Recount":        {as: "owner", run: func(s *site, v Viewer) (any, error) { return s.Recount(s.ctx, v, "sara@example.com", true) }},
}

// unscoped take no viewer, or answer each with his own alone (Home has a test of its own).
var unscoped = map[string]bool{"HasAdmin": true, "PurgeExpired": true, "CheckDue": true, "HasQueue": true, "Home": true, "Owner": true, "SendLinks": true, "SourceElsewhere": true,
	"LinkRequest": true, "AgreeTo": true} // the token is the right

// fill gives the customer everything that could be seen or spoilt.
func (s *site) fill() *site {
	s.t.Helper()
	sara := s.addMailbox("sara@example.com")
	s.addMailbox("neighbour@example.com")
	s.addMailbox("binned@example.com")
	s.addDomain("other.example")
	s.addDomain("alias.example")
	s.ok(s.SetAliasOf(s.ctx, s.owner, "alias.example", "example.com"))
	_, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: "info", Domain: "example.com", Targets: []string{"sara"}})
	s.ok(err)
	s.ok(s.SetForward(s.ctx, s.owner, "neighbour@example.com", []string{"out@elsewhere.example"}, true))
	s.ok(s.SetRelay(s.ctx, s.admin, NewRelay{Owner: "sara@example.com", Host: "smtp.example", Security: models.RelayTLS}))
	s.ok(s.SetAutoReply(s.ctx, s.owner, "sara@example.com", models.AutoReply{Body: "away"}))
	neighbour, err := s.Mailbox(s.ctx, s.admin, "neighbour@example.com")
	s.ok(err)
	s.suppress(&neighbour.Mailbox, "no@elsewhere.example")
	s.ok(s.DeleteMailbox(s.ctx, s.owner, "binned@example.com"))
	s.ok(s.records.SaveBlock(s.ctx, models.LoginBlock{Network: "192.0.2.1", MailboxID: sara.ID, Until: models.At(s.clock) * 2}))
	s.ok(s.records.RecordLogins(s.ctx, []models.Login{{MailboxID: sara.ID, Name: sara.Address, Protocol: models.ProtoIMAP, Network: "192.0.2.1", LastAt: 5}}))
	s.ok(s.records.InsertEvents(s.ctx, []models.Event{{At: 1, Kind: models.EventAccepted, CustomerID: s.customer.ID, MailboxID: sara.ID, EnvelopeID: 77, Sender: sara.Address}}))
	s.queued = s.enqueue(sara, "x@far.example", "y@far.example")
	return s
}

// suppress notes that an address refused a mailbox's mail for good.
func (s *site) suppress(m *models.Mailbox, addr string) {
	s.t.Helper()
	s.ok(s.d.Write(s.ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO suppressions (mailbox_id, address, customer_id, code, detail, at) VALUES (?, ?, ?, 550, '5.1.1 nobody', 1)", m.ID, addr, m.CustomerID)
		return err
	}))
}

// size is the number of things in a result.
func size(result any) int {
	if result == nil {
		return 0
	}
	v := reflect.ValueOf(result)
	if v.Kind() == reflect.Struct && v.FieldByName("Items").IsValid() {
		v = v.FieldByName("Items")
	}
	switch v.Kind() {
	case reflect.Slice:
		return v.Len()
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
	}
	return 1
}

func TestEveryMethodIsScoped(t *testing.T) {
	methods := reflect.TypeFor[*Service]()
	var names []string
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if _, ok := calls[name]; !ok && !unscoped[name] {
			t.Errorf("method %s has no call here", name)
			continue
		}
		if !unscoped[name] {
			names = append(names, name)
		}
	}
	each(t, func(t *testing.T, s *site) {
		_, stranger := s.addCustomer("Stranger", "stranger@example.net")
		s.fill()
		for _, name := range names {
			c := calls[name]
			strangers := map[string]Viewer{"stranger": stranger, "nobody": {}, "customer without id": {Role: models.RoleCustomer}, "unknown role": {Role: "reseller", CustomerID: s.customer.ID}}
			if c.as == "admin" {
				strangers["owner"] = s.owner
			}
			if !c.self {
				strangers["owner of another mailbox"] = s.ownerOf("neighbour@example.com")
			}
			before := s.dump()
			for who, v := range strangers {
				result, err := c.run(s, v)
				switch {
				case c.list && err == nil:
					if size(result) != 0 {
						t.Errorf("%s as %s sees %v", name, who, result)
					}
				case !models.Is(err, models.NotFound):
					t.Errorf("%s as %s: %v, %v", name, who, result, err)
				case size(result) != 0 && !reflect.ValueOf(result).IsZero():
					t.Errorf("%s as %s: a result beside the error: %v", name, who, result)
				}
			}
			if len(s.sender.sent) != 0 {
				t.Errorf("%s as a stranger sent mail", name)
			}
			if after := s.dump(); after != before {
				t.Errorf("%s as a stranger changed the database:\n%s\n%s", name, before, after)
			}
			// The same call works for who may, so it was not refused for another reason.
			v := s.owner
			if c.as == "admin" {
				v = s.admin
			}
			result, err := c.run(s, v)
			if err != nil || result != nil && size(result) == 0 && name != "Blocks" && name != "LastUses" {
				t.Errorf("%s as %s: %v, %v", name, c.as, result, err)
			}
			s.sender.sent = nil
			if c.reset {
				s.renew()
			}
		}
	})
}

// ownerOf returns who has a mailbox's password.
func (s *site) ownerOf(addr string) Viewer {
	s.t.Helper()
	row, err := s.Mailbox(s.ctx, s.admin, addr)
	s.ok(err)
	return Viewer{UserID: row.ID, Role: models.RoleOwner, CustomerID: row.CustomerID, MailboxID: row.ID, Name: row.Address}
}

// TestOwner is what the owner of a mailbox may see and do, and when they are nobody.
func TestOwner(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.fill()
		sara := s.ownerOf("sara@example.com")
		if row, err := s.Mailbox(s.ctx, sara, "sara@example.com"); err != nil || row.ID != sara.MailboxID {
			t.Errorf("%+v %v", row, err)
		}
		if logins, err := s.Logins(s.ctx, sara, "sara@example.com", 0); err != nil || len(logins) != 1 {
			t.Errorf("%v %v", logins, err)
		}
		if events, err := s.Events(s.ctx, sara, "sara@example.com", 0, 0); err != nil || len(events) != 1 {
			t.Errorf("%v %v", events, err)
		}
		s.want(s.SetOwnPassword(s.ctx, sara, "wrong", good), models.Denied, "password.wrong")
		s.want(s.SetOwnPassword(s.ctx, sara, good, "short"), models.Invalid, "password.short")
		s.ok(s.SetOwnPassword(s.ctx, sara, good, "another-"+good))
		s.ok(s.SetLanguage(s.ctx, sara, "fa"))
		u, _, err := s.Owner(s.ctx, sara.MailboxID)
		if err != nil || u.Role != models.RoleOwner || u.Language != "fa" || u.PasswordHash != "hash of another-"+good {
			t.Errorf("%+v %v", u, err)
		}
		s.want(s.SetMailboxPassword(s.ctx, sara, "sara@example.com", good), models.NotFound, "not_found")

		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, "sara@example.com", Switches{LoginOff: true, Reason: "away"}))
		_, _, err = s.Owner(s.ctx, sara.MailboxID)
		if e := s.want(err, models.Suspended, "login.suspended"); e.Args["reason"] != "away" {
			t.Errorf("%+v", e)
		}
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, "sara@example.com", Switches{}))
		s.ok(s.SuspendCustomer(s.ctx, s.admin, s.customer.ID, "unpaid", false))
		_, _, err = s.Owner(s.ctx, sara.MailboxID)
		s.want(err, models.Suspended, "login.suspended")
		s.ok(s.ResumeCustomer(s.ctx, s.admin, s.customer.ID))
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"))
		_, _, err = s.Owner(s.ctx, sara.MailboxID)
		s.want(err, models.NotFound, "not_found")
		s.want(s.SetLanguage(s.ctx, sara, "en"), models.NotFound, "not_found")
	})
}

// renew makes the customer anew after a call that removed something.
func (s *site) renew() {
	s.t.Helper()
	if err := s.RemoveCustomer(s.ctx, s.admin, s.customer.ID, true); !models.Is(err, models.NotFound) {
		s.ok(err)
	}
	s.ok(s.d.Write(s.ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, table := range []string{"logins", "events", "login_blocks", "queue", "queue_recipients"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	}))
	s.customer, s.owner = s.addCustomer("Example", "owner@example.net")
	s.addDomain("example.com")
	s.fill()
}

func TestHomeIsTheViewersOwn(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		_, stranger := s.addCustomer("Stranger", "stranger@example.net")
		s.fill()
		s.use("sara@example.com", 1000)
		o, err := s.Home(s.ctx, stranger)
		if err != nil || o.Totals != (models.Totals{Customers: 1}) || len(o.Problems) != 0 {
			t.Errorf("%+v %v", o, err)
		}
		if o, err = s.Home(s.ctx, s.owner); err != nil || o.Totals.Mailboxes != 2 || len(o.Problems) == 0 {
			t.Errorf("%+v %v", o, err)
		}
		_, err = s.Home(s.ctx, Viewer{})
		s.want(err, models.NotFound, "not_found")
	})
}
