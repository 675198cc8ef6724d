package mailserver

import (
	"bytes"
	"context"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// testWords is the test message in each language of the panel, and what the message is about that
// a test of an auto-reply answers.
var testWords = map[string]struct{ about, subject, body string }{
	"en": {"the subject of the message", "Test message", "This message was sent from the panel of your mail server.\r\n\r\nIf you can read it in your mail app, receiving works. Answer it to yourself to see that sending works too.\r\n"},
	"fa": {"موضوع نامه", "نامهٔ آزمایشی", "این نامه از پنل سرور ایمیل شما فرستاده شده است.\r\n\r\nاگر آن را در برنامهٔ ایمیل خود می\u200cخوانید، دریافت نامه درست کار می\u200cکند. برای آزمودن ارسال، یک نامه برای خودتان بفرستید.\r\n"},
}

// SendTest puts a test message into a mailbox, in a language of the panel ("fa", else
// English). Errors are those of delivery: Full, Suspended, Unavailable.
func (s *Server) SendTest(ctx context.Context, mailbox *models.Mailbox, language string) error {
	to, err := address.Parse(mailbox.Address)
	if err != nil {
		return err
	}
	words, ok := testWords[language]
	if !ok {
		words, language = testWords["en"], "en"
	}
	// Auto-Submitted: nobody's vacation message should answer it (RFC 3834, section 5).
	return s.put(ctx, to, delivery.Draft{
		From: "Postchi <postmaster@" + to.Domain + ">", To: "<" + to.String() + ">", Subject: words.subject, Text: words.body, Language: language,
		Submitted: "auto-generated",
	})
}

// SendAutoReply puts what a mailbox answers by itself into the mailbox, as senders inside its
// customer's domains or outside get it; what it answers to is about words in a language of the
// panel. Errors as of SendTest.
func (s *Server) SendAutoReply(ctx context.Context, mailbox *models.Mailbox, reply *models.AutoReply, inside bool, language string) error {
	to, err := address.Parse(mailbox.Address)
	if err != nil {
		return err
	}
	words, ok := testWords[language]
	if !ok {
		words = testWords["en"]
	}
	return s.put(ctx, to, delivery.Answer(reply, inside, to.String(), to.String(), words.about))
}

// put delivers a draft, from now, to an address here.
func (s *Server) put(ctx context.Context, to address.Address, draft delivery.Draft) error {
	route, err := s.delivery.Route(ctx, to, delivery.Asked{})
	if err != nil {
		return err
	}
	draft.Hostname, draft.At = s.config.Hostname, s.config.DB.Now()
	return s.delivery.Accept(ctx, delivery.Envelope{ID: s.config.DB.IDs().New(), Recipients: []delivery.Recipient{{Route: route}}, Direction: "in"},
		bytes.NewReader(delivery.Compose(draft)))
}

// Notice sends a message of the server to an address, here or elsewhere. Errors: Invalid for what
// is no address, NotFound, Denied and the like if nobody can have it there, else temporary.
func (s *Server) Notice(ctx context.Context, to, subject, text, language string) error {
	addr, err := address.Parse(to)
	if err != nil {
		return err
	}
	message := delivery.Compose(delivery.Draft{
		From: "Postchi <postmaster@" + s.config.Hostname + ">", To: "<" + addr.String() + ">", Subject: subject, Text: text, Language: language,
		Submitted: "auto-generated", Hostname: s.config.Hostname, At: s.config.DB.Now(),
	})
	return s.delivery.Post(ctx, delivery.Letter{Kind: models.QueueNotice, To: addr.String(), Body: message, Language: language})
}
