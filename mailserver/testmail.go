package mailserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"mime"
	"time"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// testWords is the test message in each language of the panel.
var testWords = map[string]struct{ subject, body string }{
	"en": {"Test message", "This message was sent from the panel of your mail server.\r\n\r\nIf you can read it in your mail app, receiving works. Answer it to yourself to see that sending works too.\r\n"},
	"fa": {"نامهٔ آزمایشی", "این نامه از پنل سرور ایمیل شما فرستاده شده است.\r\n\r\nاگر آن را در برنامهٔ ایمیل خود می\u200cخوانید، دریافت نامه درست کار می\u200cکند. برای آزمودن ارسال، یک نامه برای خودتان بفرستید.\r\n"},
}

// SendTest puts a test message into a mailbox, in a language of the panel ("fa", else
// English). Errors are those of delivery: Full, Suspended, Unavailable.
func (s *Server) SendTest(ctx context.Context, mailbox *models.Mailbox, language string) error {
	to, err := address.Parse(mailbox.Address)
	if err != nil {
		return err
	}
	recipient, err := s.delivery.Recipient(ctx, to, 0)
	if err != nil {
		return err
	}
	id := s.config.DB.IDs().New()
	message := testMessage(id, to, s.config.Hostname, language, s.config.DB.Now())
	return s.delivery.Accept(ctx, delivery.Envelope{
		ID: id, Recipients: []models.Recipient{*recipient}, Direction: "in", CustomerID: recipient.CustomerID, MailboxID: recipient.MailboxID,
	}, bytes.NewReader(message))
}

func testMessage(id models.ID, to address.Address, hostname, language string, now time.Time) []byte {
	words, ok := testWords[language]
	if !ok {
		words, language = testWords["en"], "en"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: %s\r\nFrom: Postchi <postmaster@%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n", now.Format(time.RFC1123Z),
		to.Domain, to, mime.BEncoding.Encode("utf-8", words.subject), id, hostname)
	// RFC 3834, section 5: nobody's vacation message should answer it.
	fmt.Fprintf(&b, "Auto-Submitted: auto-generated\r\nContent-Language: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", language)
	text := base64.StdEncoding.EncodeToString([]byte(words.body))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}
