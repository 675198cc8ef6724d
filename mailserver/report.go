package mailserver

import (
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/dsn"
)

// reports makes the reports of a delivery that its sender asked for.
func (s *Server) reports(d *delivery.Delivered) [][]byte {
	var all [][]byte
	for kind, recipients := range map[dsn.Kind][]delivery.DeliveredTo{dsn.Delivered: d.Recipients, dsn.Expanded: d.Expanded} {
		if len(recipients) == 0 {
			continue
		}
		r := &dsn.Report{
			Kind: kind, Hostname: s.config.Hostname, From: "mailer-daemon@" + s.config.Hostname, To: d.Envelope.Sender.String(), ID: s.config.DB.IDs().New().String(),
			Date: s.config.DB.Now(), Language: d.Language, EnvID: d.Envelope.EnvID, MessageID: d.MessageID, Subject: d.Subject, Arrived: d.At.Time(), Header: d.Header,
		}
		for _, to := range recipients {
			r.Recipients = append(r.Recipients, dsn.Recipient{Address: to.Address, Original: to.Original, Enhanced: "2.1.5", At: d.At.Time()})
		}
		all = append(all, r.Build())
	}
	return all
}
