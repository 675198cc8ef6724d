package dsn

import (
	"fmt"
	"strings"

	"github.com/postchi/postchi/models/explain"
)

// phrases are the fixed words in each language.
var phrases = map[string]map[string]string{
	"en": {
		"sender":        "Mail delivery",
		"title.failed":  "Not delivered",
		"title.delayed": "Not delivered yet",
		"title.relayed": "Handed on",

		"title.delivered": "Delivered",
		"title.expanded":  "Delivered to a list",
		"lead.delivered":  "Your message was delivered, as you asked to be told. It lies in the mailbox of:",
		"lead.expanded":   "Your message was taken and sent on to the several addresses behind this one. You will be told of failures there, but not of deliveries:",

		"lead.failed":  "Your message was not delivered to:",
		"lead.delayed": "Your message has not been delivered yet to:",
		"lead.relayed": "Your message was handed on to the recipient's server. That server sends no confirmations; it will tell you only if the message fails there.",
		"retry":        "You need not do anything: delivery is tried again until %s. If it does not succeed you will be told.",
		"expired":      "Delivery was tried again and again since %s, and is given up now.",
		"what":         "What happened",
		"next":         "What you can do",
		"said":         "The answer of %s",
		"said.next":    "The answer of the server it was sent on to",
		"said.nobody":  "Details",
		"about":        "The message",
		"subject":      "Subject",
		"sent":         "Sent",
		"more":         "... and %d more",
		"foot":         "This report was written by the mail server %s. Nobody reads answers to it.",
	},
	"fa": {
		"sender":        "گزارش تحویل ایمیل",
		"title.failed":  "نامه تحویل نشد",
		"title.delayed": "نامه هنوز تحویل نشده است",
		"title.relayed": "نامه سپرده شد",

		"title.delivered": "نامه تحویل شد",
		"title.expanded":  "نامه به چند نشانی فرستاده شد",
		"lead.delivered":  "همان\u200cطور که خواسته بودید به شما خبر داده می\u200cشود: نامهٔ شما در صندوق این گیرنده گذاشته شد:",
		"lead.expanded":   "نامهٔ شما پذیرفته و به نشانی\u200cهایی که پشت این نشانی است فرستاده شد. اگر به یکی از آن\u200cها نرسد به شما خبر داده می\u200cشود، ولی از تحویل خبر داده نمی\u200cشود:",

		"lead.failed":  "نامهٔ شما به این گیرنده نرسید:",
		"lead.delayed": "نامهٔ شما هنوز به این گیرنده نرسیده است:",
		"lead.relayed": "نامهٔ شما به سرور گیرنده سپرده شد. آن سرور تأییدیه نمی\u200cفرستد و فقط اگر نامه آنجا به گیرنده نرسد خبر می\u200cدهد.",
		"retry":        "لازم نیست کاری بکنید: تا %s باز هم برای تحویل آن تلاش می\u200cشود. اگر نتیجه ندهد، به شما خبر داده می\u200cشود.",
		"expired":      "از %s بارها برای تحویل آن تلاش شد و اکنون دیگر تلاش نمی\u200cشود.",
		"what":         "چه شد",
		"next":         "چه می\u200cتوانید بکنید",
		"said":         "پاسخ %s",
		"said.next":    "پاسخ سروری که نامه به آن هدایت شد",
		"said.nobody":  "جزئیات",
		"about":        "نامه",
		"subject":      "موضوع",
		"sent":         "زمان ارسال",
		"more":         "... و %d گیرندهٔ دیگر",
		"foot":         "این گزارش را سرور ایمیل %s نوشته است. کسی پاسخ آن را نمی\u200cخواند.",
	},
}

// phrase is a fixed text; for a report in both languages those of headers are in English.
func phrase(language, key string) string {
	if language != "fa" {
		language = "en"
	}
	return phrases[language][key]
}

// words is the part for people, lines ended by CRLF.
func (r *Report) words() string {
	var b strings.Builder
	switch r.Language {
	case "fa", "en":
		r.say(&b, r.Language)
	default:
		r.say(&b, "en")
		b.WriteString("\n" + strings.Repeat("-", 40) + "\n\n")
		r.say(&b, "fa")
	}
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

func (r *Report) say(b *strings.Builder, language string) {
	p := phrases[language]
	fmt.Fprintf(b, "%s\n", p["lead."+string(r.Kind)])
	for i := range r.Recipients {
		if i == maxNamed {
			fmt.Fprintf(b, "\n  "+p["more"]+"\n", len(r.Recipients)-maxNamed)
			break
		}
		r.sayOf(b, language, r.Recipients[i].concealed())
	}
	fmt.Fprintf(b, "\n%s\n", p["about"])
	if subject := strings.Join(strings.Fields(r.Subject), " "); subject != "" {
		fmt.Fprintf(b, "  %s: %s\n", p["subject"], subject)
	}
	if !r.Arrived.IsZero() {
		fmt.Fprintf(b, "  %s: %s\n", p["sent"], moment(r.Arrived))
	}
	if r.MessageID != "" {
		fmt.Fprintf(b, "  Message-ID: <%s>\n", field(r.MessageID))
	}
	fmt.Fprintf(b, "\n"+p["foot"]+"\n", r.Hostname)
}

// sayOf is what is said of one recipient.
func (r *Report) sayOf(b *strings.Builder, language string, to *Recipient) {
	p := phrases[language]
	fmt.Fprintf(b, "\n  %s\n", field(to.Address))
	if r.Kind != Failed && r.Kind != Delayed {
		return
	}
	w := explain.Attempt(to.Reason, to.Code, to.Enhanced, to.Text, language)
	next := w.Next
	fmt.Fprintf(b, "\n%s\n  %s\n", p["what"], w.What)
	switch {
	case r.Kind == Delayed:
		next = fmt.Sprintf(p["retry"], moment(to.Until))
	case strings.HasPrefix(to.Enhanced, "4") || to.Code/100 == 4:
		fmt.Fprintf(b, "  "+p["expired"]+"\n", moment(r.Arrived))
	}
	if next != "" {
		fmt.Fprintf(b, "\n%s\n  %s\n", p["next"], next)
	}
	switch {
	case to.Code != 0 && to.Host == "":
		fmt.Fprintf(b, "\n%s\n  %s\n", p["said.next"], quoted(answer(to)))
	case to.Code != 0:
		fmt.Fprintf(b, "\n"+p["said"]+"\n  %s\n", field(to.Host), quoted(answer(to)))
	case to.Text != "":
		fmt.Fprintf(b, "\n%s\n  %s\n", p["said.nobody"], quoted(strings.TrimSpace(to.Host+" "+to.Text)))
	}
}

// quoted is what another server said, in one line.
func quoted(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return ' ' // no breaks of lines, no overrides of direction
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	return s
}
