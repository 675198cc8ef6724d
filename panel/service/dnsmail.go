package service

import (
	"context"
	"strings"

	"github.com/postchi/postchi/models"
)

// readyWords tell that all records of a domain are right, in each language of the panel.
var readyWords = map[string]struct{ subject, text string }{
	"en": {
		"The DNS of {domain} is complete",
		"All records that {domain} needs for its mail are published and right. Mail to it arrives, and mail from it is signed and can be trusted.\n\nYou need to do nothing more. The records are looked at again once a day; if one goes missing, the panel says so:\n{link}\n",
	},
	"fa": {
		"رکوردهای DNS دامنهٔ {domain} کامل شد",
		"همهٔ رکوردهایی که {domain} برای ایمیل لازم دارد ثبت شده و درست است. نامه\u200cها به آن می\u200cرسند و نامه\u200cهایی که از آن فرستاده می\u200cشوند امضا دارند و قابل اعتمادند.\n\nکار دیگری لازم نیست. رکوردها روزی یک بار دوباره بررسی می\u200cشوند و اگر یکی از آنها نباشد، پنل آن را نشان می\u200cدهد:\n{link}\n",
	},
}

// tellReady mails the people of a domain's customer that its DNS is complete, each in their
// language. What fails is logged: the page says the same.
func (s *Service) tellReady(ctx context.Context, d *models.Domain) {
	if s.config.Notices == nil {
		return
	}
	users, err := s.store.Users(ctx, models.OfCustomer(d.CustomerID), d.CustomerID)
	if err != nil {
		s.log.Warn("users to be told of the DNS", "domain", d.Name, "err", err)
		return
	}
	for _, u := range users {
		language := u.Language
		words, ok := readyWords[language]
		if !ok {
			words, language = readyWords["en"], "en"
		}
		fill := strings.NewReplacer("{domain}", d.Name, "{link}", s.config.PublicURL+"/domains/"+d.Name+"/dns")
		if err := s.config.Notices.Notice(ctx, u.Email, fill.Replace(words.subject), fill.Replace(words.text), language); err != nil {
			s.log.Warn("not told of the DNS", "domain", d.Name, "user", u.Email, "err", err)
		}
	}
}
